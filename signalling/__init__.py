"""Palco's signalling server: tokens, roles, SDP and spaces; decides what the sfu enforces."""
