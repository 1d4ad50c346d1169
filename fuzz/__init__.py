"""`make fuzz`: strangers' mail made up by a fuzzer for the reader, and threads made up by hypothesis for the cases."""
