"""Sans-I/O codecs, one file a protocol: text or bytes to typed events, typed commands to text or bytes."""
