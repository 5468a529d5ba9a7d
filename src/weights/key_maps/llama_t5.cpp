#include <array>

#include "weights/key_maps/layouts.hpp"
#include "weights/key_maps/names.hpp"

namespace daguerre::weights::key_maps {
namespace {

constexpr std::string_view blocks = "enc.blk.";

// Inside a block. The second version of T5 has a gate; without one, the only matrix that goes up is `wi`.
constexpr std::array<Rule, 10> block_rules{{{"attn_q", "layer.0.SelfAttention.q"},
                                            {"attn_k", "layer.0.SelfAttention.k"},
                                            {"attn_v", "layer.0.SelfAttention.v"},
                                            {"attn_o", "layer.0.SelfAttention.o"},
                                            {"attn_rel_b", "layer.0.SelfAttention.relative_attention_bias"},
                                            {"attn_norm", "layer.0.layer_norm"},
                                            {"ffn_gate", "layer.1.DenseReluDense.wi_0"},
                                            {"ffn_up", "layer.1.DenseReluDense.wi_1"},
                                            {"ffn_down", "layer.1.DenseReluDense.wo"},
                                            {"ffn_norm", "layer.1.layer_norm"}}};
constexpr std::array<Rule, 2> outer_rules{
    {{"token_embd", "shared"}, {"enc.output_norm", "encoder.final_layer_norm"}}};

std::string t5_name(const StateDict& weights, std::string_view name) {
  const auto block = numbered(name, blocks);
  if (!block) return to_diffusers(name, outer_rules).value_or(std::string(name));
  const auto& [number, rest] = *block;
  const bool has_gate = weights.contains(joined_name(blocks, number, "ffn_gate.weight"));
  if (!has_gate && rest == "ffn_up.weight")
    return joined_name("encoder.block.", number, "layer.1.DenseReluDense.wi.weight");
  const auto inner = to_diffusers(rest, block_rules);
  return inner ? joined_name("encoder.block.", number, *inner) : std::string(name);
}

}  // namespace

bool is_llama_t5(const StateDict& weights) {
  return weights.contains("enc.blk.0.attn_q.weight");
}

StateDict from_llama_t5(const StateDict& weights) {
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names()) result.push_back({t5_name(weights, name), name});
  return weights.renamed(result);
}

}  // namespace daguerre::weights::key_maps
