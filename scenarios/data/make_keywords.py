"""Makes keywords.npz, the data of scenarios/keywords.yaml: words as a spectrogram might show them. It is not speech.

    python scenarios/data/make_keywords.py

A word is a sequence of three sounds, a sound two resonances (formants) or noise at a height of its own; six speakers differ in the
length of their vocal tract (all resonances a factor higher or lower), speed and loudness. An example is the energy in 40 bands
(features) over 49 time steps, in steps of a quarter so that the file stays small.
"""

from pathlib import Path
from typing import Final

import numpy as np

BANDS: Final = 40
STEPS: Final = 49
WORDS: Final = 8
SPEAKERS: Final = 6
TRAIN_OF_EACH: Final = 5
TEST_OF_EACH: Final = 2
# (lower band, upper band, width): two resonances; the last two are noises, wide and high
SOUNDS: Final = ((4, 22, 1.5), (6, 18, 1.5), (9, 14, 1.5), (8, 27, 1.5), (5, 11, 1.5), (27, 33, 4.0), (20, 30, 5.0))


def make(seed: int = 0) -> dict[str, np.ndarray]:
    """The arrays of the file: x (examples, 40, 49) in float32, y (examples,), and client_train, the speaker."""
    generator = np.random.default_rng(seed)
    words = [generator.choice(len(SOUNDS), size=3, replace=False) for _ in range(WORDS)]
    speakers = [(tract, generator.uniform(0.8, 1.2), generator.uniform(0.7, 1.0)) for tract in np.linspace(0.88, 1.12, SPEAKERS)]
    parts: dict[str, list[tuple[np.ndarray, int, int]]] = {"train": [], "test": []}
    for part, times in (("train", TRAIN_OF_EACH), ("test", TEST_OF_EACH)):
        for speaker, traits in enumerate(speakers):
            for word, sounds in enumerate(words):
                parts[part] += [(_say(sounds, *traits, generator), word, speaker) for _ in range(times)]
    arrays = {f"x_{part}": np.stack([example for example, _, _ in examples]) for part, examples in parts.items()}
    arrays |= {f"y_{part}": np.array([word for _, word, _ in examples]) for part, examples in parts.items()}
    return {**arrays, "client_train": np.array([speaker for _, _, speaker in parts["train"]])}


def _say(sounds: np.ndarray, tract: float, speed: float, loudness: float, generator: np.random.Generator) -> np.ndarray:
    """One utterance, (bands, steps): sounds of random length, after a pause of random length, in noise."""
    bands = np.arange(BANDS)[:, None]
    energy = np.zeros((BANDS, STEPS))
    start = int(generator.integers(2, 12))
    for sound in sounds:
        length = max(4, int(generator.integers(7, 13) * speed))
        lower, upper, width = SOUNDS[sound]
        shift = generator.normal(0, 0.6)
        shape = sum(np.exp(-(((bands - centre * tract - shift) / width) ** 2)) for centre in (lower, upper))
        rise = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 0.5
        end = min(start + length, STEPS)
        energy[:, start:end] += (shape * rise)[:, : end - start]
        start = end
    noisy = 3 * loudness * energy * generator.uniform(0.4, 1.2, energy.shape) + generator.exponential(0.12, energy.shape)
    return (np.round(4 * noisy) / 4).astype(np.float32)


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("keywords.npz"), **make())
