"""The `palco` command's parts, one module for each: `build_parser()` and `run(arguments) -> exit code`."""
