# PyTorch on this machine's GPU, eager and compiled: `python3 peer.py` prints, for enhancing a picture of 600 × 400 and for a
# training step, the best and the median of each as JSON. From bytes on the host to a result on the device, as ours.
import json
import time

import torch

from pytorch import Net, Training, noise

RUNS = 200
WARM = 20


def timed(run):
    for _ in range(WARM):
        run()
    times = []
    for _ in range(RUNS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    return {"best": times[0], "median": times[len(times) // 2], "unit": "ms"}


def enhancing(wrap):
    net = wrap(Net().cuda().eval())
    image = torch.randint(0, 256, (400, 600, 3), dtype=torch.uint8).pin_memory()

    def run():
        with torch.inference_mode():
            x = image.cuda(non_blocking=True).permute(2, 0, 1)[None].float() * (2 / 255) - 1
            return ((net(x) + 1) * 127.5).round().to(torch.uint8)

    return timed(run)


def training(wrap):
    net = Net().cuda()
    steps = Training(net)
    steps.net = wrap(net)
    return timed(lambda: steps.step(noise().cuda()))


def main():
    rows = []
    for mode, wrap in [("eager", lambda net: net), ("torch.compile", torch.compile)]:
        for name, task in [("enhance 600x400", enhancing), ("training step", training)]:
            try:
                rows.append({"row": name, "peer": f"PyTorch {torch.__version__} {mode}", **task(wrap)})
            except Exception as error:
                rows.append({"row": name, "peer": f"PyTorch {torch.__version__} {mode}", "missing": f"{type(error).__name__}: {error}".splitlines()[0]})
    for row in rows:
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
