"""A training loop for few, busy cores: workers of one thread each take small shares of a batch as they get
time, so that a core that is slowed by other programs does not hold up the rest at every operation.

What a share computes depends only on the seed, the step and the share's number, and gradients are added in
the order of the shares: the outcome is the same however many workers there are."""

import math
import os
import signal
import time

import torch
import torch.multiprocessing as multiprocessing


class FlatParameters:
    """All parameters of a module as views of one vector (kernels of convolutions channels last)."""

    def __init__(self, module, dtype, device):
        self.module = module.to(device)
        parameters = list(module.parameters())
        self.vector = torch.cat([self._flat(p.detach().float()) for p in parameters]).to(dtype)
        if device == "cpu":
            self.vector.share_memory_()
        start = 0
        for p in parameters:
            part = self.vector[start : start + p.numel()]
            if p.dim() == 4:
                o, i, h, w = p.shape
                p.data = part.view(o, h, w, i).permute(0, 3, 1, 2)
            else:
                p.data = part.view(p.shape)
            start += p.numel()
        module.dtype = dtype

    @staticmethod
    def _flat(tensor):
        return (tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor).reshape(-1)

    def take_gradients(self, out):
        start = 0
        for p in self.module.parameters():
            part = out[start : start + p.numel()]
            part.zero_() if p.grad is None else part.copy_(self._flat(p.grad))
            p.grad = None
            start += p.numel()


class Trainer:
    """Adam with warm-up, cosine decay to `steps` and an exponential average of the weights.

    `loss_of(module, share, generator)` is the mean loss of one share of the batch."""

    def __init__(self, module, loss_of, options, *, shares, learning_rate, ema=0.999, scale_of=None):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.workers = options.workers if self.device == "cpu" else 1
        self.loss_of, self.options, self.shares = loss_of, options, shares
        self.learning_rate, self.ema_decay, self.step = learning_rate, ema, 0
        self.master = torch.cat([FlatParameters._flat(p.detach().float()) for p in module.parameters()])
        self.master = self.master.to(self.device)
        self.flat = FlatParameters(module, torch.bfloat16, self.device)
        self.ema, self.m, self.v = self.master.clone(), *torch.zeros(2, len(self.master), device=self.device)
        self.scale = 1.0  # of the learning rate, parameter by parameter
        if scale_of:
            self.scale = torch.cat(
                [torch.full((p.numel(),), float(scale_of(n))) for n, p in module.named_parameters()]
            ).to(self.device)
        self.gradients = torch.zeros(shares, len(self.master), device=self.device)
        self.losses = torch.zeros(shares)
        self.ticket = torch.zeros(2, dtype=torch.int64)  # step, next share
        if self.workers > 1:
            for tensor in (self.gradients, self.losses, self.ticket):
                tensor.share_memory_()
        self.lock, self.go, self.done = (
            multiprocessing.Lock(),
            multiprocessing.Semaphore(0),
            multiprocessing.Semaphore(0),
        )

    def _work(self):
        while True:
            with self.lock:
                step, share = self.ticket.tolist()
                if share >= self.shares:
                    return
                self.ticket[1] += 1
            generator = torch.Generator().manual_seed((self.options.seed * 1_000_003 + step) * 1_009 + share)
            loss = self.loss_of(self.flat.module, share, generator)
            loss.backward()
            self.flat.take_gradients(self.gradients[share])
            self.losses[share] = loss.item()

    def _worker(self):
        torch.set_num_threads(1)
        parent = os.getppid()
        while True:
            while not self.go.acquire(timeout=20):
                if os.getppid() != parent:
                    return
            self._work()
            self.done.release()

    def _update(self):
        progress = self.step / self.options.steps
        rate = self.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(progress, 1))))
        rate *= min(1.0, (self.step + 1) / self.options.warmup)
        gradient = self.gradients.mean(0)
        norm = gradient.norm().item()
        if not math.isfinite(norm):
            return norm
        gradient *= min(1.0, 1.0 / (norm + 1e-6))
        self.m.lerp_(gradient, 0.1)
        self.v.mul_(0.99).addcmul_(gradient, gradient, value=0.01)
        done = self.step + 1
        change = (self.m / (1 - 0.9**done)) / ((self.v / (1 - 0.99**done)).sqrt_() + 1e-8)
        self.master -= rate * self.scale * change
        self.ema.lerp_(self.master, 1 - min(self.ema_decay, (1 + done) / (10 + done)))
        self.flat.vector.copy_(self.master)
        return norm

    def save(self, path):
        names = ("master", "ema", "m", "v", "step")
        torch.save({name: getattr(self, name) for name in names}, f"{path}.part")
        os.replace(f"{path}.part", path)

    def load(self, path):
        for name, value in torch.load(path, map_location=self.device).items():
            setattr(self, name, value)
        self.flat.vector.copy_(self.master)

    def run(self, checkpoint, report=lambda: ""):
        """Trains up to options.steps, going on from `checkpoint` where there is one. SIGTERM and SIGINT end
        it after the step in progress; the checkpoint is written in any case."""
        if os.path.exists(checkpoint):
            self.load(checkpoint)
        torch.set_num_threads(1 if self.device == "cpu" else torch.get_num_threads())
        for _ in range(self.workers - 1):
            multiprocessing.get_context("fork").Process(target=self._worker, daemon=True).start()
        stopping = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.append(True))
        began = saved = told = time.time()
        first, total, count = self.step, 0.0, 0
        while self.step < self.options.steps and not stopping:
            self.ticket[0], self.ticket[1] = self.step, 0
            for _ in range(self.workers - 1):
                self.go.release()
            self._work()
            for _ in range(self.workers - 1):
                self.done.acquire()
            norm = self._update()
            self.step += 1
            total, count, now = total + self.losses.mean().item(), count + 1, time.time()
            if now - told > self.options.tell_every or self.step == self.options.steps:
                rate = (self.step - first) / (now - began)
                left = (self.options.steps - self.step) / rate / 60
                print(
                    f"step {self.step}/{self.options.steps}  loss {total / count:.4f}  |g| {norm:.2f}  "
                    f"{rate:.2f} steps/s  {left:.0f} min left  {report()}",
                    flush=True,
                )
                told, total, count = now, 0.0, 0
            if now - saved > self.options.save_every:
                self.save(checkpoint)
                saved = now
        self.save(checkpoint)

    @torch.no_grad()
    def averaged(self):
        """The module in float32 with the averaged weights; training is over after this."""
        return load_averaged(self.flat.module, self.ema)


@torch.no_grad()
def load_averaged(module, vector):
    """`module` in float32 with the weights of `vector` (a checkpoint's "ema" or "master")."""
    module.float()
    start = 0
    for p in module.parameters():
        part = vector[start : start + p.numel()]
        if p.dim() == 4:
            o, i, h, w = p.shape
            p.data = part.view(o, h, w, i).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        else:
            p.data = part.view(p.shape).clone()
        start += p.numel()
    module.dtype = torch.float32
    return module.eval()
