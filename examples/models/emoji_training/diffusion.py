"""The noise schedule, the training target and DPM-Solver++ (2M)."""

import torch

SCHEDULER = {
    "_class_name": "DPMSolverMultistepScheduler",
    "_diffusers_version": "0.31.0",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "trained_betas": None,
    "solver_order": 2,
    "prediction_type": "v_prediction",
    "thresholding": False,
    "algorithm_type": "dpmsolver++",
    "solver_type": "midpoint",
    "lower_order_final": True,
    "euler_at_final": False,
    "use_karras_sigmas": False,
    "final_sigmas_type": "zero",
    "timestep_spacing": "linspace",
    "steps_offset": 0,
    "rescale_betas_zero_snr": False,
}
TRAIN_STEPS = SCHEDULER["num_train_timesteps"]


def alphas_and_sigmas():
    """x_t = alpha_t x_0 + sigma_t noise, for t = 0 ... 999"""
    start, end = SCHEDULER["beta_start"] ** 0.5, SCHEDULER["beta_end"] ** 0.5
    betas = torch.linspace(start, end, TRAIN_STEPS, dtype=torch.float64) ** 2
    kept = torch.cumprod(1 - betas, 0)
    return kept.sqrt().float(), (1 - kept).sqrt().float()


ALPHAS, SIGMAS = alphas_and_sigmas()


def noised(latents, generator, skew=0.7, together=1):
    """(x_t, t, v) for random times, late (noisy) ones somewhat more often: there the text decides. `together`
    neighbours, the frames of a film, have the same time."""
    t = torch.rand(len(latents) // together, generator=generator).pow(skew).mul(TRAIN_STEPS).long()
    t = t.clamp(max=TRAIN_STEPS - 1).repeat_interleave(together)
    noise = torch.randn(latents.shape, generator=generator)
    alpha, sigma = ALPHAS[t][:, None, None, None], SIGMAS[t][:, None, None, None]
    return alpha * latents + sigma * noise, t, alpha * noise - sigma * latents


@torch.no_grad()
def sample(predict_v, noise, steps):
    """DPM-Solver++ (2M; Lu et al. 2022, algorithm 2) as diffusers' DPMSolverMultistepScheduler takes it.
    `predict_v(x, t)` includes the guidance."""
    times = torch.linspace(0, TRAIN_STEPS - 1, steps + 1, dtype=torch.float64).round().long().flip(0)[:-1]
    alphas, sigmas = ALPHAS[times].tolist() + [1.0], SIGMAS[times].tolist() + [0.0]
    lambdas = [torch.tensor(a / s).log().item() for a, s in zip(alphas[:-1], sigmas[:-1])] + [float("inf")]
    x, before = noise * 1.0, None
    for i, t in enumerate(times.tolist()):
        v = predict_v(x, t)
        data = alphas[i] * x - sigmas[i] * v
        h = lambdas[i + 1] - lambdas[i]
        estimate = data
        if before is not None and i + 1 < steps:
            r = (lambdas[i] - lambdas[i - 1]) / h
            estimate = data + (data - before) / (2 * r)
        shrink = 0.0 if i + 1 == steps else torch.tensor(-h).expm1().item()
        if i + 1 == steps:
            x = data
        else:
            x = sigmas[i + 1] / sigmas[i] * x - alphas[i + 1] * shrink * estimate
        before = data
    return x
