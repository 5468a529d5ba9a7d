#include "daguerre/models/language/language_names.hpp"

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace daguerre::models {
namespace {

constexpr std::string_view llama_table = "embed_tokens.weight", gpt2_table = "wte.weight";

/// What stands before a decoder's names; nullopt where it has no table of that name.
std::optional<std::string> decoder_prefix(const std::vector<std::string>& names, std::string_view table) {
  std::optional<std::string> found;
  for (const auto& name : names) {
    if (!name.ends_with(table)) continue;
    const auto prefix = name.substr(0, name.size() - table.size());
    const bool is_module = prefix.empty() || prefix.ends_with('.');
    if (is_module && (!found || prefix.size() < found->size())) found = prefix;
  }
  return found;
}

/// Buffers that old files hold.
bool is_buffer(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".attn.bias") ||
         name.ends_with(".attn.masked_bias");
}

struct Gpt2Module {
  std::string_view name, ours;
  bool is_matrix = false;
};

constexpr std::array gpt2_modules{
    Gpt2Module{"ln_1", "input_layernorm"},
    Gpt2Module{"attn.c_attn", "self_attn.qkv_proj", true},
    Gpt2Module{"attn.c_proj", "self_attn.o_proj", true},
    Gpt2Module{"ln_2", "post_attention_layernorm"},
    Gpt2Module{"mlp.c_fc", "mlp.up_proj", true},
    Gpt2Module{"mlp.c_proj", "mlp.down_proj", true},
};

/// A tensor of GPT-2's decoder; unchanged where it is none.
weights::RenamedTensor gpt2_tensor(std::string_view name) {
  weights::RenamedTensor result{.name = std::string(name), .source = std::string(name)};
  if (name == gpt2_table) result.name = llama_table;
  if (name == "wpe.weight") result.name = "embed_positions.weight";
  if (name.starts_with("ln_f.")) result.name = "norm." + std::string(name.substr(5));
  if (!name.starts_with("h.")) return result;
  const auto end = name.find('.', 2), kind = name.rfind('.');
  if (end == std::string_view::npos || kind <= end) return result;
  for (const auto& [module, ours, is_matrix] : gpt2_modules)
    if (name.substr(end + 1, kind - end - 1) == module) {
      result.name =
          "layers" + std::string(name.substr(1, end)) + std::string(ours) + std::string(name.substr(kind));
      result.transposed = is_matrix && name.substr(kind) == ".weight";
    }
  return result;
}

}  // namespace

weights::StateDict with_language_names(const weights::StateDict& state) {
  const auto names = state.names();
  const auto llama = decoder_prefix(names, llama_table), gpt2 = decoder_prefix(names, gpt2_table);
  if (!llama && !gpt2)
    throw WeightError("language_model", state.source() + ": no tensor's name ends in \"" +
                                            std::string(llama_table) + "\" or \"" + std::string(gpt2_table) +
                                            "\", the table of embeddings");
  const auto& prefix = llama ? *llama : *gpt2;
  std::vector<weights::RenamedTensor> tensors;
  for (const auto& name : names) {
    if (is_buffer("." + name)) continue;
    const std::string_view view = name;
    weights::RenamedTensor tensor{.name = name, .source = name};
    if (const auto head = view.rfind("lm_head."); head != view.npos && (head == 0 || view[head - 1] == '.')) {
      tensor.name = view.substr(head);
    } else if (const auto visual = view.find("visual."); visual == 0 || view.starts_with("model.visual.")) {
      tensor.name = view.substr(visual);
    } else if (view.starts_with(prefix)) {
      const auto inside = view.substr(prefix.size());
      if (llama)
        tensor.name = inside;
      else
        tensor = gpt2_tensor(inside);
      tensor.source = name;
    }
    tensors.push_back(std::move(tensor));
  }
  return state.renamed(tensors);
}

}  // namespace daguerre::models
