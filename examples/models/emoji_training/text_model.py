"""transformers' CLIPTextModel."""

import torch
from torch import nn

CONFIG = {
    "architectures": ["CLIPTextModel"],
    "model_type": "clip_text_model",
    "vocab_size": 0,  # known when the vocabulary is
    "hidden_size": 192,
    "intermediate_size": 768,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 16,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "projection_dim": 192,
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
    "torch_dtype": "float16",
}


def config_for(tokenizer):
    return {
        **CONFIG,
        "vocab_size": len(tokenizer.vocabulary),
        "bos_token_id": tokenizer.start,
        "eos_token_id": tokenizer.end,
        "pad_token_id": tokenizer.end,
    }


class SelfAttention(nn.Module):
    """CLIP's names for the four projections, and a causal mask."""

    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, x):
        n, length, channels = x.shape
        split = lambda y: y.view(n, length, self.heads, -1).transpose(1, 2)
        q, k, v = split(self.q_proj(x)), split(self.k_proj(x)), split(self.v_proj(x))
        scores = q @ k.transpose(-1, -2) * (channels // self.heads) ** -0.5
        later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        y = scores.masked_fill(later, float("-inf")).softmax(-1) @ v
        return self.out_proj(y.transpose(1, 2).reshape(n, length, channels))


class Mlp(nn.Module):
    def __init__(self, channels, inner):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, inner), nn.Linear(inner, channels)

    def forward(self, x):
        x = self.fc1(x)
        return self.fc2(x * torch.sigmoid(1.702 * x))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, eps = config["hidden_size"], config["layer_norm_eps"]
        self.self_attn = SelfAttention(width, config["num_attention_heads"])
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.mlp = Mlp(width, config["intermediate_size"])

    def forward(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class TextModel(nn.Module):
    """Token ids [N, L] to the last hidden state [N, L, hidden_size]."""

    def __init__(self, config):
        super().__init__()
        width = config["hidden_size"]
        text = nn.Module()
        text.embeddings = nn.Module()
        text.embeddings.token_embedding = nn.Embedding(config["vocab_size"], width)
        text.embeddings.position_embedding = nn.Embedding(config["max_position_embeddings"], width)
        for embedding in text.embeddings.children():
            nn.init.normal_(embedding.weight, std=0.02 if embedding.num_embeddings < 100 else 0.1)
        text.encoder = nn.Module()
        text.encoder.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        text.final_layer_norm = nn.LayerNorm(width, config["layer_norm_eps"])
        self.text_model = text

    def forward(self, ids):
        return self.encode(self.text_model.embeddings.token_embedding(ids))

    def encode(self, x):
        """The same for tokens' embeddings [N, L, hidden_size]."""
        text = self.text_model
        x = x + text.embeddings.position_embedding.weight[: x.shape[1]]
        for layer in text.encoder.layers:
            x = layer(x)
        return text.final_layer_norm(x)
