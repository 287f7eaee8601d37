"""The server's half: the scenario's DGA with as many rounds less in flight as the trainers run ahead; nodes that fail are asked again."""

from pathlib import Path

from fedtiny.deployment.overlapping.server_app import server_app

app = server_app(Path(__file__).parents[1])
