"""What signalling may say to the sfu, and hear from it: the one module of the sfu that signalling imports.

`messages` are the commands, answers and reports; `wire` frames them on a stream; `config` is the one file that both
processes read.
"""
