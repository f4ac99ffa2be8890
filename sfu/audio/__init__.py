"""The mixer: programs at the other end of taps that decode, mix and encode, so that the sfu never does."""
