"""The parts of train_emoji.py: data, tokenizer, networks, diffusion and the files they are written to."""
