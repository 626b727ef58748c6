"""The spans of a call: one trace, whose root is the call and whose turns hold all that was done for them.

They exist only where runs are traced. They are made from the call's log, with the times that stand there; what agents
do hangs below the turn for which they do it.
"""
