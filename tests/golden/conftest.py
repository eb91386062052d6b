# What stands here is compared as text, not run.
collect_ignore_glob = ["*.py"]
