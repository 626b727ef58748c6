"""End of turn: was that all the caller wanted to say?"""
