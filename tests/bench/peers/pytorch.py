# PyTorch as a participant of the benchmarks: one JSON request a line on stdin, one JSON answer a line on stdout.
# `python3 pytorch.py quality RESULT` trains the baseline networks of the quality rows instead.
import json
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 32, 3, padding=1)
        self.norm = nn.InstanceNorm2d(32)
        self.second = nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, x):
        return torch.tanh(self.second(F.gelu(self.norm(self.first(x)))))


def conv_weights(net):
    return [net.first.weight, net.first.bias, net.second.weight, net.second.bias]


def load_weights(net, path):
    """Weights as [height, width, in, out] and biases, one after the other."""
    flat = torch.from_numpy(np.fromfile(path, np.float32))
    at = 0
    with torch.no_grad():
        for w in conv_weights(net):
            part = flat[at:at + w.numel()]
            at += w.numel()
            w.copy_(part.reshape(w.shape[2], w.shape[3], w.shape[1], w.shape[0]).permute(3, 2, 0, 1) if w.dim() == 4 else part)


def flat_weights(net):
    return [(w.detach().permute(2, 3, 1, 0) if w.dim() == 4 else w.detach()).reshape(-1).numpy() for w in conv_weights(net)]


def loss_of(y, x):
    variation = ((y[:, :, 1:] - y[:, :, :-1]) ** 2).sum() + ((y[:, :, :, 1:] - y[:, :, :, :-1]) ** 2).sum()
    return (y - x).abs().mean() + variation / y.numel()


def noise():
    return (torch.randn(1, 3, 104, 104) * 3).clamp(-1, 1)


class Training:
    def __init__(self, net):
        self.net = net
        self.adam = torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999))

    def step(self, x):
        self.adam.zero_grad()
        loss = loss_of(self.net(x), x)
        loss.backward()
        self.adam.step()
        return loss


class Enhance:
    def __init__(self, request):
        self.net = Net().eval()
        load_weights(self.net, request["folder"] + "/weights.f32")
        image = np.fromfile(request["folder"] + "/image.u8", np.uint8).reshape(1, request["height"], request["width"], 3)
        self.x = torch.from_numpy(image).permute(0, 3, 1, 2).contiguous().float() * (2 / 255) - 1
        self.y = None

    def run(self):
        with torch.inference_mode():
            self.y = self.net(self.x)

    def output(self):
        self.run()
        return self.y.permute(0, 2, 3, 1).contiguous().numpy()


class Train:
    """One run is one step on fresh noise; the output is what five steps on the given noise make of the given weights."""

    def __init__(self, request):
        self.folder = request["folder"]
        self.training = Training(Net())

    def run(self):
        self.training.step(noise())

    def output(self):
        net = Net()
        load_weights(net, self.folder + "/weights.f32")
        training = Training(net)
        xs = torch.from_numpy(np.fromfile(self.folder + "/noise.f32", np.float32).reshape(-1, 1, 104, 104, 3)).permute(0, 1, 4, 2, 3).contiguous()
        losses = [training.step(x).item() for x in xs]
        return np.concatenate([np.array(losses, np.float32), *flat_weights(net)])


class Matmul:
    def __init__(self, request):
        n = request["size"]
        self.a, self.b = torch.from_numpy(np.fromfile(request["folder"] + "/matrices.f32", np.float32).reshape(2, n, n))

    def run(self):
        self.c = self.a @ self.b

    def output(self):
        self.run()
        return self.c.numpy()


def serve():
    task = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "prepare":
                torch.set_num_threads(request["threads"])
                task = {"enhance": Enhance, "train": Train, "matmul": Matmul}[request["task"]](request)
                answer = {"description": f"PyTorch {torch.__version__}, {torch.get_num_threads()} thread{'' if torch.get_num_threads() == 1 else 's'}"}
            elif request["do"] == "output":
                np.ascontiguousarray(task.output(), np.float32).tofile(request["path"])
                answer = {}
            else:
                times = []
                for _ in range(request["count"]):
                    start = time.perf_counter()
                    task.run()
                    times.append((time.perf_counter() - start) * 1000)
                answer = {"milliseconds": times}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def quality(path):
    """Five networks trained as the sheet says; their weights go into the result, so that the pictures can be scored anew."""
    torch.set_num_threads(1)
    seeds = []
    for seed in range(5):
        torch.manual_seed(seed)
        training = Training(Net())
        start = time.perf_counter()
        losses = [training.step(noise()).item() for _ in range(2000)]
        seconds = time.perf_counter() - start
        weights = [round(float(w), 7) for part in flat_weights(training.net) for w in part]
        seeds.append({"seed": seed, "loss": sum(losses[-100:]) / 100, "seconds": round(seconds, 1), "weights": weights})
        print(f"seed {seed}: loss {seeds[-1]['loss']:.4f}, {seconds:.1f} s", file=sys.stderr, flush=True)
    with open(path, "w") as file:
        json.dump({"command": "python3 tests/bench/peers/pytorch.py quality " + path, "torch": torch.__version__, "iterations": 2000, "seeds": seeds}, file)
        file.write("\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["quality"]:
        quality(sys.argv[2])
    else:
        serve()
