#include "daguerre/models/denoisers/mochi_transformer-inl.hpp"
#include "daguerre/ops/reduce.hpp"

namespace daguerre::models {
namespace {

constexpr int mochi_pool_heads = 8;  // fixed in the reference

}  // namespace

MochiTransformerConfig MochiTransformerConfig::from(const Config& config) {
  const char* who = detail::mochi_name;
  if (const auto name = config.class_name(); name != "MochiTransformer3DModel")
    throw ConfigError(who, config.source() + ": class \"" + name + "\" is not MochiTransformer3DModel");
  MochiTransformerConfig result;
  result.patch_size = config.get("patch_size", 2);
  result.num_attention_heads = config.get("num_attention_heads", 24);
  result.attention_head_dim = config.get("attention_head_dim", 128);
  result.num_layers = config.get("num_layers", 48);
  result.pooled_projection_dim = config.get("pooled_projection_dim", 1536);
  result.in_channels = config.get("in_channels", 12);
  result.out_channels = config.optional_int("out_channels").value_or(static_cast<int>(result.in_channels));
  config.expect("qk_norm", {"\"rms_norm\""});
  result.text_embed_dim = config.get("text_embed_dim", 4096);
  result.time_embed_dim = config.get("time_embed_dim", 256);
  result.activation_fn = config.get("activation_fn", "swiglu");
  config.ignore({"max_sequence_length"});  // prompts of any length do
  config.finish();

  const bool possible = result.patch_size > 0 && result.num_attention_heads > 0 &&
                        result.attention_head_dim > 0 && result.num_layers > 0 &&
                        result.pooled_projection_dim > 0 && result.in_channels > 0 &&
                        result.out_channels > 0 && result.text_embed_dim > 0 && result.time_embed_dim > 0;
  if (!possible)
    throw ConfigError(who, config.source() + ": channels, heads, layers and widths must be positive");
  if (result.attention_head_dim % 2 != 0)
    throw ConfigError(who, config.source() + ": attention_head_dim " +
                               std::to_string(result.attention_head_dim) + " has no pairs to be turned");
  return result;
}

MochiAttentionPool::MochiAttentionPool(const nn::Loader& loader, Index dim, Index output_dim)
    : dim_(dim),
      engine_(loader.context.engine),
      to_q_(loader.sub("to_q"), dim, dim),
      to_kv_(loader.sub("to_kv"), dim, 2 * dim),
      to_out_(loader.sub("to_out"), dim, output_dim) {
  if (dim % mochi_pool_heads != 0)
    throw ConfigError(detail::mochi_name, loader.scope.prefix() + ": " + std::to_string(dim) +
                                              " channels do not split into " +
                                              std::to_string(mochi_pool_heads) + " heads");
}

Tensor<float> MochiAttentionPool::operator()(const ops::Context& context, const Tensor<float>& tokens) const {
  const Index batch = tokens.dim(0);
  const auto mean = tokens.empty() ? ops::full(context, {batch, 1, dim_}, 0.0f)
                                   : ops::mean(context, tokens, 1).reshape({batch, 1, dim_});
  const auto all = tokens.empty() ? mean : ops::concat<float>(context, std::array{mean, tokens}, 1);
  const auto query = to_q_(context, mean), answers = to_kv_(context, all);
  using View = ops::TokenView<float>;
  ops::AttentionArguments<float> arguments{View::all(query), View::columns(answers, 0, dim_),
                                           View::columns(answers, dim_, dim_), mochi_pool_heads};
  arguments.scale = 1.0f / std::sqrt(static_cast<float>(dim_ / mochi_pool_heads));
  return to_out_(context, nn::attend(context, *engine_, arguments)).reshape({batch, -1});
}

template class MochiTransformerBlock<float>;
template class MochiTransformerBlock<bfloat16>;
template class MochiTransformer<float>;
template class MochiTransformer<bfloat16>;

}  // namespace daguerre::models
