"""Voice activity: is someone speaking now?"""
