"""The network, its data and its training."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    """Two convolutions and a linear layer for images of 8 x 8."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU())
        self.head = nn.Linear(16 * 2 * 2, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (batch, 10) of images (batch, 1, 8, 8)."""
        return self.head(self.features(x).flatten(1))


def load_data(partition: int, partitions: int) -> tuple[DataLoader, DataLoader]:
    """The node's own share of the digits, four fifths to train on."""
    pixels, labels = load_digits(return_X_y=True)
    x = torch.tensor(pixels[partition::partitions] / 16.0, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y, cut = torch.tensor(labels[partition::partitions]), int(0.8 * len(x))
    order = torch.Generator().manual_seed(partition)
    train = DataLoader(TensorDataset(x[:cut], y[:cut]), batch_size=32, shuffle=True, generator=order)
    return train, DataLoader(TensorDataset(x[cut:], y[cut:]), batch_size=256)


def train(net: Net, loader: DataLoader, epochs: int, lr: float) -> float:
    """Trains for some epochs; the mean loss."""
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    losses = []
    for _ in range(epochs):
        for images, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return sum(losses) / len(losses)


@torch.no_grad()
def test(net: Net, loader: DataLoader) -> tuple[float, float]:
    """Loss and accuracy."""
    images, labels = next(iter(loader))
    outputs = net(images)
    return nn.functional.cross_entropy(outputs, labels).item(), (outputs.argmax(1) == labels).float().mean().item()
