#include <algorithm>
#include <array>
#include <map>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/key_maps/layouts.hpp"
#include "weights/key_maps/names.hpp"
#include "weights/names.hpp"

namespace daguerre::weights::key_maps {
namespace {

constexpr std::array<Rule, 8> open_clip_rules{
    {{"positional_embedding", "text_model.embeddings.position_embedding.weight"},
     {"token_embedding", "text_model.embeddings.token_embedding"},
     {"ln_final", "text_model.final_layer_norm"},
     {"visual.class_embedding", "vision_model.embeddings.class_embedding"},
     {"visual.conv1", "vision_model.embeddings.patch_embedding"},
     {"visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"},
     {"visual.ln_pre", "vision_model.pre_layrnorm"},
     {"visual.ln_post", "vision_model.post_layernorm"}}};
/// Of each tower: where its layers are.
constexpr std::array<Rule, 2> open_clip_towers{
    {{"transformer.resblocks.", "text_model.encoder.layers."},
     {"visual.transformer.resblocks.", "vision_model.encoder.layers."}}};
/// Matrices that are the transposed of transformers'.
constexpr std::array<Rule, 2> open_clip_projections{
    {{"text_projection", "text_projection.weight"}, {"visual.proj", "visual_projection.weight"}}};
/// What openai/CLIP's archives and older files of open_clip hold beside weights.
constexpr std::array<std::string_view, 4> open_clip_leftovers{"attn_mask", "input_resolution",
                                                              "context_length", "vocab_size"};
/// Below a layer's number, in both towers.
constexpr std::array<Rule, 5> open_clip_layer_rules{{{"ln_1", "layer_norm1"},
                                                     {"ln_2", "layer_norm2"},
                                                     {"mlp.c_fc", "mlp.fc1"},
                                                     {"mlp.c_proj", "mlp.fc2"},
                                                     {"attn.out_proj", "self_attn.out_proj"}}};
/// Queries, keys and values: what is one tensor there, and what becomes of it.
constexpr std::array<Rule, 2> in_proj{{{"attn.in_proj_weight", ".weight"}, {"attn.in_proj_bias", ".bias"}}};
constexpr std::array<std::string_view, 3> in_proj_parts{"q_proj", "k_proj", "v_proj"};

/// The tensor of which `part`, of layer `number` below `layers`, is the queries, keys or values.
std::optional<std::string> joint_name(std::string_view layers, int number, std::string_view part) {
  for (const auto& [joint, suffix] : in_proj)
    for (const auto name : in_proj_parts)
      if (part == std::string("self_attn.").append(name).append(suffix))
        return joined_name(layers, number, joint);
  return std::nullopt;
}

/// What is renamed of a tower's layers; false where `name` is none of them.
bool rename_open_clip_layer(const StateDict& weights, const std::string& name,
                            std::vector<RenamedTensor>& result) {
  for (const auto& [from, to] : open_clip_towers) {
    const auto layer = numbered(name, from);
    if (!layer) continue;
    if (const auto joint = to_diffusers(layer->second, in_proj)) {
      split_evenly(weights, name, joined_name(to, layer->first, "self_attn."), in_proj_parts, *joint, result);
    } else {
      const auto part = to_diffusers(layer->second, open_clip_layer_rules);
      result.push_back({part ? joined_name(to, layer->first, *part) : name, name});
    }
    return true;
  }
  return false;
}

/// The layer's name in open_clip's layout and what it is made of, tensor by tensor; false likewise.
bool restore_open_clip_layer(const StateDict& weights, const std::string& name,
                             std::map<std::string, JoinedTensor>& joint, std::vector<JoinedTensor>& result) {
  const Shape shape = weights.shape(name);
  for (const auto& [from, to] : open_clip_towers) {
    const auto layer = numbered(name, to);
    if (!layer) continue;
    if (const auto whole = joint_name(from, layer->first, layer->second)) {
      // The names are sorted: keys, queries, values. Their place is below.
      joint.try_emplace(*whole, JoinedTensor{*whole, std::vector<std::string>(3), shape});
      auto& sources = joint.at(*whole).sources;
      for (std::size_t i = 0; i < in_proj_parts.size(); ++i)
        if (layer->second.find(in_proj_parts[i]) != layer->second.npos) sources[i] = name;
      return true;
    }
    const auto part = from_diffusers(layer->second, open_clip_layer_rules);
    if (part) result.push_back({joined_name(from, layer->first, *part), {name}, shape});
    return part.has_value();
  }
  return false;
}

}  // namespace

bool is_open_clip(const StateDict& weights) {
  return weights.contains("positional_embedding") && weights.contains("token_embedding.weight") &&
         weights.contains("transformer.resblocks.0.attn.in_proj_weight");
}

StateDict from_open_clip(const StateDict& weights) {
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names()) {
    const auto same = [&](const auto& other) { return name == other; };
    if (std::any_of(open_clip_leftovers.begin(), open_clip_leftovers.end(), same)) continue;
    const auto projection = std::find_if(open_clip_projections.begin(), open_clip_projections.end(),
                                         [&](const Rule& rule) { return name == rule.first; });
    if (projection != open_clip_projections.end() && weights.shape(name).rank() == 2)
      result.push_back({std::string(projection->second), name, 0, -1, std::nullopt, true});
    else if (!rename_open_clip_layer(weights, name, result))
      result.push_back({to_diffusers(name, open_clip_rules).value_or(name), name});
  }
  return weights.renamed(result);
}

std::vector<JoinedTensor> to_open_clip(const StateDict& weights) {
  std::vector<JoinedTensor> result;
  std::map<std::string, JoinedTensor> joint;
  for (const auto& name : weights.names()) {
    if (name.ends_with(".position_ids")) continue;
    const Shape shape = weights.shape(name);
    const auto projection = std::find_if(open_clip_projections.begin(), open_clip_projections.end(),
                                         [&](const Rule& rule) { return name == rule.second; });
    if (projection != open_clip_projections.end() && shape.rank() == 2) {
      result.push_back({std::string(projection->first), {name}, {shape[1], shape[0]}, true});
    } else if (!restore_open_clip_layer(weights, name, joint, result)) {
      const auto other = name == "logit_scale" ? name : from_diffusers(name, open_clip_rules);
      if (!other)
        throw WeightError(weights_name, weights.source() + ": tensor " + in_quotes(name) +
                                            " has no place in open_clip's layout");
      result.push_back({*other, {name}, shape});
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
