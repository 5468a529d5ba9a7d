#include "daguerre/weights/key_map.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "daguerre/error.hpp"

namespace daguerre::weights {
namespace {

using Rule = std::pair<std::string_view, std::string_view>;

/// `name` with the prefix of the first rule that fits replaced; nothing when none does. Prefixes end where
/// a part of the name does.
template <std::size_t N>
std::optional<std::string> replaced(std::string_view name, const std::array<Rule, N>& rules) {
  for (const auto& [from, to] : rules)
    if (name.starts_with(from) && (name.size() == from.size() || name[from.size()] == '.'))
      return std::string(to).append(name.substr(from.size()));
  return std::nullopt;
}

// ---- facebookresearch/DiT

constexpr std::array<Rule, 4> dit_rules{{{"x_embedder.proj", "pos_embed.proj"},
                                         {"pos_embed", "pos_embed.pos_embed"},
                                         {"final_layer.adaLN_modulation.1", "proj_out_1"},
                                         {"final_layer.linear", "proj_out_2"}}};
/// Below `blocks.N` and `transformer_blocks.N`.
constexpr std::array<Rule, 4> dit_block_rules{{{"adaLN_modulation.1", "norm1.linear"},
                                               {"attn.proj", "attn1.to_out.0"},
                                               {"mlp.fc1", "ff.net.0.proj"},
                                               {"mlp.fc2", "ff.net.2"}}};
/// Shared there by all blocks; in diffusers each has its own.
constexpr std::array<Rule, 3> dit_embedder_rules{
    {{"t_embedder.mlp.0", "norm1.emb.timestep_embedder.linear_1"},
     {"t_embedder.mlp.2", "norm1.emb.timestep_embedder.linear_2"},
     {"y_embedder.embedding_table", "norm1.emb.class_embedder.embedding_table"}}};

/// ("3", "attn.qkv.weight") of "blocks.3.attn.qkv.weight".
std::optional<std::pair<std::string, std::string_view>> block_part(std::string_view name) {
  constexpr std::string_view list = "blocks.";
  if (!name.starts_with(list)) return std::nullopt;
  name.remove_prefix(list.size());
  const auto dot = name.find('.');
  if (dot == name.npos || dot == 0 || name.find_first_not_of("0123456789") != dot) return std::nullopt;
  return std::pair{std::string(name.substr(0, dot)), name.substr(dot + 1)};
}

void add_block_part(const StateDict& weights, const std::string& source, const std::string& block,
                    std::string_view part, std::vector<RenamedTensor>& result) {
  constexpr std::string_view qkv = "attn.qkv.";
  if (part.starts_with(qkv)) {
    const Shape shape = weights.shape(source);
    if (shape.rank() == 0 || shape[0] % 3 != 0)
      throw WeightError("weights", weights.source() + ": tensor \"" + source + "\" has shape " +
                                       to_string(shape) + ", which does not split into three");
    const Index rows = shape[0] / 3;
    Index first = 0;
    for (const auto* name : {"to_q.", "to_k.", "to_v."}) {
      result.push_back({block + "attn1." + name + std::string(part.substr(qkv.size())), source, first, rows});
      first += rows;
    }
  } else if (const auto name = replaced(part, dit_block_rules)) {
    result.push_back({block + *name, source});
  } else {
    result.push_back({source, source});
  }
}

StateDict dit(const StateDict& weights) {
  const auto names = weights.names();
  std::vector<std::string> blocks;
  for (const auto& name : names)
    if (const auto found = block_part(name)) blocks.push_back("transformer_blocks." + found->first + ".");
  blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());  // the names are sorted

  std::vector<RenamedTensor> result;
  for (const auto& name : names) {
    if (const auto found = block_part(name)) {
      add_block_part(weights, name, "transformer_blocks." + found->first + ".", found->second, result);
    } else if (const auto shared = replaced(name, dit_embedder_rules)) {
      for (const auto& block : blocks) result.push_back({block + *shared, name});
    } else {
      result.push_back({replaced(name, dit_rules).value_or(name), name});
    }
  }
  return weights.renamed(result);
}

// ---- CLIP's text encoder, as versions of transformers leave it

constexpr std::string_view clip_embedding = "embeddings.token_embedding.weight";

/// From version 5.6 on a CLIPTextModel has no `text_model.` before its names; a model that was saved as a
/// part of a whole CLIP may have `clip.` there.
std::string clip_name(std::string_view name, std::string_view wrapper) {
  constexpr std::array<std::string_view, 3> inner{"embeddings.", "encoder.", "final_layer_norm."};
  if (name.starts_with(wrapper)) name.remove_prefix(wrapper.size());
  const bool bare = std::any_of(inner.begin(), inner.end(),
                                [&](std::string_view begin) { return name.starts_with(begin); });
  std::string result = bare ? "text_model." : "";
  result += name;
  // Norms' names in files that TensorFlow's were converted to.
  for (const auto& [from, to] : std::array<Rule, 2>{{{".gamma", ".weight"}, {".beta", ".bias"}}})
    if (result.ends_with(from)) result.replace(result.size() - from.size(), from.size(), to);
  return result;
}

StateDict clip(const StateDict& weights, std::string_view wrapper) {
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names()) result.push_back({clip_name(name, wrapper), name});
  return weights.renamed(result);
}

}  // namespace

StateDict with_diffusers_names(const StateDict& weights) {
  if (weights.contains("x_embedder.proj.weight") && weights.contains("blocks.0.adaLN_modulation.1.weight"))
    return dit(weights);
  for (const std::string_view wrapper : {"", "clip."})
    for (const std::string_view model : {"", "text_model."}) {
      const std::string prefix = std::string(wrapper).append(model);
      const bool renamed = prefix != "text_model." || weights.contains("text_model.final_layer_norm.gamma");
      if (renamed && weights.contains(prefix + std::string(clip_embedding))) return clip(weights, wrapper);
    }
  return weights;
}

}  // namespace daguerre::weights
