#pragma once

#include "daguerre/models/language/language_config.hpp"
#include "daguerre/weights/gguf.hpp"
#include "daguerre/weights/state_dict.hpp"

/// Language models as llama.cpp's files hold them: metadata and tensors' names of its own.
namespace daguerre {

/// What the metadata and tensors say. Throws ConfigError for an architecture that is none of llama, qwen2,
/// qwen3, gemma, gemma2, gemma3 and gpt2, and for options that are not known; FormatError for metadata that
/// are missing or of other types.
models::LanguageConfig gguf_language_config(const weights::GgufFile& file);

/// The tensors under the names that models::CausalLm reads. Queries and keys of Llama's files keep the order
/// of their channels, which the configuration tells. Throws WeightError for tensors that are not known.
weights::StateDict gguf_language_weights(const weights::GgufFile& file);

}  // namespace daguerre
