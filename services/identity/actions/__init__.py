"""What clients of identity can want: one function each, one transaction each."""
