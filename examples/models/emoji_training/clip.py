"""transformers' CLIPModel: a text tower and a vision tower whose embeddings can be compared."""

import torch
import torch.nn.functional as F
from torch import nn

from . import text_model

PROJECTION = 64
VISION = {
    "model_type": "clip_vision_model",
    "hidden_size": 96,
    "intermediate_size": 384,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "num_channels": 3,
    "image_size": 64,
    "patch_size": 8,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "projection_dim": PROJECTION,
}
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def config_for(tokenizer):
    text = {
        **text_model.config_for(tokenizer),
        "hidden_size": 96,
        "intermediate_size": 384,
        "num_attention_heads": 3,
        "projection_dim": PROJECTION,
    }
    for key in ("architectures", "torch_dtype"):
        text.pop(key)
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": PROJECTION,
        "logit_scale_init_value": 2.6592,
        "text_config": text,
        "vision_config": VISION,
        "torch_dtype": "float16",
    }


PREPROCESSOR = {
    "crop_size": {"height": VISION["image_size"], "width": VISION["image_size"]},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": list(MEAN),
    "image_processor_type": "CLIPImageProcessor",
    "image_std": list(DEVIATION),
    "resample": 3,
    "rescale_factor": 1 / 255,
    "size": {"shortest_edge": VISION["image_size"]},
}


def pixel_values(pictures):
    """uint8 [N, H, W, 3] to what the vision tower sees, [N, 3, H, W]."""
    values = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    return (values - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]


class VisionAttention(text_model.SelfAttention):
    """Without the mask of text."""

    def forward(self, x):
        n, length, channels = x.shape
        split = lambda y: y.view(n, length, self.heads, -1).transpose(1, 2)
        q, k, v = split(self.q_proj(x)), split(self.k_proj(x)), split(self.v_proj(x))
        y = (q @ k.transpose(-1, -2) * (channels // self.heads) ** -0.5).softmax(-1) @ v
        return self.out_proj(y.transpose(1, 2).reshape(n, length, channels))


class VisionLayer(text_model.Layer):
    def __init__(self, config):
        super().__init__(config)
        self.self_attn = VisionAttention(config["hidden_size"], config["num_attention_heads"])


class VisionModel(nn.Module):
    """Pixel values [N, 3, H, W] to the normed class token [N, hidden_size]."""

    def __init__(self, config):
        super().__init__()
        width, eps, patch = config["hidden_size"], config["layer_norm_eps"], config["patch_size"]
        places = 1 + (config["image_size"] // patch) ** 2
        self.embeddings = nn.Module()
        self.embeddings.class_embedding = nn.Parameter(torch.randn(width) * 0.02)
        self.embeddings.patch_embedding = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.embeddings.position_embedding = nn.Embedding(places, width)
        nn.init.normal_(self.embeddings.position_embedding.weight, std=0.02)
        self.pre_layrnorm = nn.LayerNorm(width, eps)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(VisionLayer(config) for _ in range(config["num_hidden_layers"]))
        self.post_layernorm = nn.LayerNorm(width, eps)

    def forward(self, x):
        patches = self.embeddings.patch_embedding(x).flatten(2).transpose(1, 2)
        first = self.embeddings.class_embedding.expand(len(x), 1, -1)
        x = torch.cat([first, patches], 1) + self.embeddings.position_embedding.weight
        x = self.pre_layrnorm(x)
        for layer in self.encoder.layers:
            x = layer(x)
        return self.post_layernorm(x[:, 0])


class Clip(nn.Module):
    def __init__(self, config):
        super().__init__()
        text, vision = config["text_config"], config["vision_config"]
        # Its own module has the prefix that transformers' files have.
        self.text_model = text_model.TextModel(text).text_model
        self.vision_model = VisionModel(vision)
        self.text_projection = nn.Linear(text["hidden_size"], config["projection_dim"], bias=False)
        self.visual_projection = nn.Linear(vision["hidden_size"], config["projection_dim"], bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(config["logit_scale_init_value"]))
        self.end = text["eos_token_id"]

    def embed_texts(self, ids):
        """Ids [N, L] to unit vectors [N, projection_dim], pooled where the text ends."""
        text = self.text_model
        x = text.embeddings.token_embedding(ids) + text.embeddings.position_embedding.weight[: ids.shape[1]]
        for layer in text.encoder.layers:
            x = layer(x)
        x = text.final_layer_norm(x[torch.arange(len(ids)), (ids == self.end).int().argmax(1)])
        return F.normalize(self.text_projection(x).float(), dim=-1)

    def embed_pictures(self, pixels):
        """Pixel values [N, 3, H, W] to unit vectors."""
        return F.normalize(self.visual_projection(self.vision_model(pixels)).float(), dim=-1)
