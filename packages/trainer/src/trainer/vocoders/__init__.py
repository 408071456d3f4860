"""From a log-mel back to samples: Griffin-Lim, WORLD and HiFi-GAN behind one small interface.

vocoder = choose("world", settings.features, settings.audio.rate)
samples = aloud(vocoder, Speech(mel=mel, f0=f0))
"""
