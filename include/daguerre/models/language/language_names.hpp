#pragma once

#include "daguerre/weights/state_dict.hpp"

namespace daguerre::models {

/// A language model's weights under the names that CausalLm reads, whichever of transformers' classes wrote
/// them: of a whole model (`model.layers.…`), of one of several kinds of input
/// (`model.language_model.layers.…`, `language_model.model.layers.…`, with `visual.…` beside it) or of the
/// decoder alone (`layers.…`); GPT-2's c_attn, c_fc … with their matrices turned. Those names are
/// `embed_tokens`, `embed_positions` (learned positions), `layers.N.…` as transformers' Llama has them,
/// with `self_attn.qkv_proj` where queries, keys and values are one matrix, `norm`, `lm_head`, and
/// `visual.…`. Masks and tables that old files hold beside the weights are left out. Weights that have these
/// names are as they were. Throws WeightError where there is no table of embeddings.
weights::StateDict with_language_names(const weights::StateDict& state);

}  // namespace daguerre::models
