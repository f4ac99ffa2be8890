"""What has felled other servers, one file per row of the list of known attacks, each tried on a running server."""
