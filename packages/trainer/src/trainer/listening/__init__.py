"""Blind listening tests: what is played, what listeners answered, and what that shows.

loudness   level of speech, and bringing sounds to one level
design     what a test plays, in which pairs and screens; the key that undoes the blinding
making     a test of some runs: sentences, sounds, key
answers    the files listeners send back, read with suspicion
figures    preferences and mean scores with their intervals
scoring    answers and key put together, and kept with the runs
"""
