"""The operator's commands, on whole journals and on damaged ones."""
