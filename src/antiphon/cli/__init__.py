"""The ``antiphon`` command."""
