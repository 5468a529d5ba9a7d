#include <array>
#include <map>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/key_maps/layouts.hpp"
#include "weights/key_maps/names.hpp"
#include "weights/names.hpp"

namespace daguerre::weights::key_maps {
namespace {

constexpr std::array<Rule, 3> open_clip_rules{
    {{"positional_embedding", "text_model.embeddings.position_embedding.weight"},
     {"token_embedding", "text_model.embeddings.token_embedding"},
     {"ln_final", "text_model.final_layer_norm"}}};
/// Below `transformer.resblocks.N` and `text_model.encoder.layers.N`.
constexpr std::array<Rule, 5> open_clip_layer_rules{{{"ln_1", "layer_norm1"},
                                                     {"ln_2", "layer_norm2"},
                                                     {"mlp.c_fc", "mlp.fc1"},
                                                     {"mlp.c_proj", "mlp.fc2"},
                                                     {"attn.out_proj", "self_attn.out_proj"}}};
constexpr std::string_view open_clip_layers = "transformer.resblocks.";
constexpr std::string_view transformers_layers = "text_model.encoder.layers.";
constexpr std::string_view projection = "text_projection", projection_weight = "text_projection.weight";

/// Queries, keys and values: what is one tensor there, and what becomes of it.
constexpr std::array<Rule, 2> in_proj{{{"attn.in_proj_weight", ".weight"}, {"attn.in_proj_bias", ".bias"}}};
constexpr std::array<std::string_view, 3> in_proj_parts{"q_proj", "k_proj", "v_proj"};

/// The tensor of which `part`, of layer `number`, is the queries, keys or values.
std::optional<std::string> joint_name(int number, std::string_view part) {
  for (const auto& [joint, suffix] : in_proj)
    for (const auto name : in_proj_parts)
      if (part == std::string("self_attn.").append(name).append(suffix))
        return joined_name(open_clip_layers, number, joint);
  return std::nullopt;
}

}  // namespace

bool is_open_clip(const StateDict& weights) {
  return weights.contains("positional_embedding") && weights.contains("token_embedding.weight") &&
         weights.contains("transformer.resblocks.0.attn.in_proj_weight");
}

StateDict from_open_clip(const StateDict& weights) {
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names()) {
    const auto layer = numbered(name, open_clip_layers);
    if (name == projection && weights.shape(name).rank() == 2) {
      result.push_back({std::string(projection_weight), name, 0, -1, std::nullopt, true});
    } else if (!layer) {
      result.push_back({to_diffusers(name, open_clip_rules).value_or(name), name});
    } else if (const auto joint = to_diffusers(layer->second, in_proj)) {
      split_evenly(weights, name, joined_name(transformers_layers, layer->first, "self_attn."), in_proj_parts,
                   *joint, result);
    } else {
      const auto part = to_diffusers(layer->second, open_clip_layer_rules);
      result.push_back({part ? joined_name(transformers_layers, layer->first, *part) : name, name});
    }
  }
  return weights.renamed(result);
}

std::vector<JoinedTensor> to_open_clip(const StateDict& weights) {
  std::vector<JoinedTensor> result;
  const auto refuse = [&](const std::string& name) {
    return WeightError(weights_name, weights.source() + ": tensor " + in_quotes(name) +
                                         " has no place in open_clip's layout");
  };
  std::map<std::string, JoinedTensor> joint;
  for (const auto& name : weights.names()) {
    if (name.ends_with(".position_ids")) continue;
    const Shape shape = weights.shape(name);
    const auto layer = numbered(name, transformers_layers);
    if (name == projection_weight && shape.rank() == 2) {
      result.push_back({std::string(projection), {name}, {shape[1], shape[0]}, true});
    } else if (!layer) {
      const auto other = from_diffusers(name, open_clip_rules);
      if (!other) throw refuse(name);
      result.push_back({*other, {name}, shape});
    } else if (const auto whole = joint_name(layer->first, layer->second)) {
      // The names are sorted: keys, queries, values. Their place is below.
      joint.try_emplace(*whole, JoinedTensor{*whole, std::vector<std::string>(3), shape});
      auto& sources = joint.at(*whole).sources;
      for (std::size_t i = 0; i < in_proj_parts.size(); ++i)
        if (layer->second.find(in_proj_parts[i]) != layer->second.npos) sources[i] = name;
    } else {
      const auto part = from_diffusers(layer->second, open_clip_layer_rules);
      if (!part) throw refuse(name);
      result.push_back({joined_name(open_clip_layers, layer->first, *part), {name}, shape});
    }
  }
  for (auto& [name, tensor] : joint) {
    for (const auto& source : tensor.sources)
      if (source.empty() || !(weights.shape(source) == tensor.shape))
        throw WeightError(weights_name, weights.source() + ": " + in_quotes(name) +
                                            " needs queries, keys and values of one shape");
    tensor.shape = tensor.shape.with(0, 3 * tensor.shape[0]);
    result.push_back(std::move(tensor));
  }
  return result;
}

}  // namespace daguerre::weights::key_maps
