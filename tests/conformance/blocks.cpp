#include <functional>
#include <map>

#include "conformance/case.hpp"
#include "daguerre/nn/ada_norm.hpp"
#include "daguerre/nn/added_kv_attention.hpp"
#include "daguerre/nn/norm.hpp"
#include "daguerre/nn/resnet.hpp"
#include "daguerre/nn/timestep.hpp"
#include "daguerre/nn/transformer.hpp"

namespace daguerre::conformance {
namespace {

/// A function of one recorded run; made once from the weights.
using Block = std::function<Tensor<float>(const ops::Context&, const Recorded&)>;

template <class T>
Block added_kv_attention(const Config& config, const nn::Loader& loader) {
  typename nn::AddedKvAttention<T>::Options options;
  options.channels = config.require_int("query_dim");
  options.heads = config.get("heads", 8);
  options.head_dim = config.get("dim_head", 64);
  options.states_dim = config.require_int("added_kv_proj_dim");
  options.norm_num_groups = config.require_int("norm_num_groups");
  options.only_cross_attention = config.get("only_cross_attention", false);
  config.expect("bias", {"true"});
  config.ignore({"cross_attention_dim", "processor", "upcast_softmax"});
  config.finish();
  return
      [module = nn::AddedKvAttention<T>(loader, options)](const ops::Context& context, const Recorded& run) {
        return module(context, run.tensor("in.x"), run.tensor_as<T>("in.ctx"));
      };
}

template <class T>
Block attention(const Config& config, const nn::Loader& loader) {
  if (config.has("added_kv_proj_dim")) return added_kv_attention<T>(config, loader);
  const int heads = config.get("heads", 8), groups = config.get("norm_num_groups", 0);
  const auto epsilon = static_cast<float>(config.get("eps", 1e-5));
  const auto rescale = static_cast<float>(config.get("rescale_output_factor", 1.0));
  nn::AttentionOptions options;
  options.query_dim = config.require_int("query_dim");
  options.cross_attention_dim = config.get("cross_attention_dim", 0);
  options.heads = heads;
  options.head_dim = config.get("dim_head", 64);
  options.bias = config.get("bias", false);
  options.out_bias = config.get("out_bias", true);
  options.scale_qk = config.get("scale_qk", true);
  const bool elementwise_affine = config.get("elementwise_affine", true);
  if (const auto name = config.get("qk_norm", ""); !name.empty())
    options.qk_norm = nn::query_key_norm_called(name, elementwise_affine, epsilon);
  config.ignore({"upcast_softmax", "upcast_attention"});  // computed in float32 anyway
  if (groups > 0) {
    config.expect("residual_connection", {"true"});
    config.finish();
    if (options.cross_attention_dim != 0 || !options.bias || heads * options.head_dim != options.query_dim)
      throw ConfigError("conformance", "attention with a group norm that is not over pixels");
    nn::SpatialAttention<T> module(loader, {.channels = options.query_dim,
                                            .heads = heads,
                                            .norm_num_groups = groups,
                                            .norm_epsilon = epsilon,
                                            .rescale_output_factor = rescale});
    return [module](const ops::Context& context, const Recorded& run) {
      return module(context, run.tensor("in.x"));
    };
  }
  config.expect("residual_connection", {"false"});
  config.expect("rescale_output_factor", {"1.0"});
  config.finish();
  return [module = nn::Attention<T>(loader, options)](const ops::Context& context, const Recorded& run) {
    const auto x = run.tensor_as<T>("in.x");
    Tensor<T> states;
    Tensor<float> bias;
    if (run.has("in.ctx")) states = run.tensor_as<T>("in.ctx");
    if (run.has("in.mask")) bias = run.tensor("in.mask").reshape({x.dim(0), -1});
    return module(context, x, run.has("in.ctx") ? &states : nullptr, run.has("in.mask") ? &bias : nullptr);
  };
}

nn::TransformerOptions transformer_options(const Config& config) {
  nn::TransformerOptions options;
  options.num_attention_heads = config.get("num_attention_heads", 16);
  options.attention_head_dim = config.get("attention_head_dim", 88);
  options.cross_attention_dim = config.get("cross_attention_dim", 0);
  options.only_cross_attention = config.get("only_cross_attention", false);
  options.activation_fn = config.get("activation_fn", "geglu");
  return options;
}

template <class T, class Module>
Block with_states(Module module) {
  return [module = std::move(module)](const ops::Context& context, const Recorded& run) {
    Tensor<T> states;
    if (run.has("in.ctx")) states = run.tensor_as<T>("in.ctx");
    return module(context, run.tensor("in.x"), run.has("in.ctx") ? &states : nullptr, nullptr);
  };
}

template <class T>
Block basic_transformer_block(const Config& config, const nn::Loader& loader) {
  auto options = transformer_options(config);
  options.dim = config.require_int("dim");
  config.finish();
  return with_states<T>(nn::BasicTransformerBlock<T>(loader, options));
}

template <class T>
Block transformer_2d(const Config& config, const nn::Loader& loader) {
  typename nn::Transformer2D<T>::Options options;
  options.block = transformer_options(config);
  options.in_channels = config.require_int("in_channels");
  options.num_layers = config.get("num_layers", 1);
  options.norm_num_groups = config.get("norm_num_groups", 32);
  options.use_linear_projection = config.get("use_linear_projection", false);
  config.finish();
  return with_states<T>(nn::Transformer2D<T>(loader, options));
}

template <class T>
Block feed_forward(const Config& config, const nn::Loader& loader) {
  nn::FeedForward<T> module(loader, config.require_int("dim"), config.get("activation_fn", "geglu"),
                            config.get("mult", 4));
  config.finish();
  return [module](const ops::Context& context, const Recorded& run) {
    return module(context, run.tensor_as<T>("in.x"));
  };
}

template <class T>
Block resnet(const Config& config, const nn::Loader& loader) {
  nn::ResnetOptions options;
  options.in_channels = config.require_int("in_channels");
  options.out_channels = config.get("out_channels", static_cast<int>(options.in_channels));
  options.temb_channels = config.optional_int("temb_channels").value_or(0);
  options.groups = config.get("groups", 32);
  options.epsilon = static_cast<float>(config.get("eps", 1e-6));
  options.non_linearity = ops::parse_activation(config.get("non_linearity", "swish"), config.source());
  config.expect("time_embedding_norm", {"\"default\"", "\"scale_shift\""});
  options.scale_shift = std::string(config.get("time_embedding_norm", "default")) == "scale_shift";
  options.output_scale_factor = static_cast<float>(config.get("output_scale_factor", 1.0));
  using Resize = nn::ResnetOptions::Resize;
  options.resize = config.get("up", false)     ? Resize::up
                   : config.get("down", false) ? Resize::down
                                               : Resize::none;
  config.finish();
  return [module = nn::ResnetBlock2D<T>(loader, options)](const ops::Context& context, const Recorded& run) {
    Tensor<float> temb;
    if (run.has("in.temb")) temb = run.tensor("in.temb");
    return module(context, run.tensor("in.x"), run.has("in.temb") ? &temb : nullptr);
  };
}

template <class T>
Block downsample(const Config& config, const nn::Loader& loader) {
  const int channels = config.require_int("channels");
  config.expect("use_conv", {"true"});
  nn::Downsample2D<T> module(loader, channels, config.get("out_channels", channels),
                             config.get("padding", 1));
  config.finish();
  return [module](const ops::Context& context, const Recorded& run) {
    return module(context, run.tensor("in.x"));
  };
}

template <class T>
Block upsample(const Config& config, const nn::Loader& loader) {
  const int channels = config.require_int("channels");
  config.expect("use_conv", {"true"});
  nn::Upsample2D<T> module(loader, channels, config.get("out_channels", channels));
  const auto size = config.has("output_size") ? config.require_ints("output_size") : std::vector<int>();
  config.finish();
  return [module, size](const ops::Context& context, const Recorded& run) {
    const auto x = run.tensor("in.x");
    return size.size() == 2 ? module(context, x, size[0], size[1]) : module(context, x);
  };
}

template <class T>
Block timestep_embedding_mlp(const Config& config, const nn::Loader& loader) {
  nn::TimestepEmbedding<float>::Options options;
  options.activation = ops::parse_activation(config.get("act_fn", "silu"), config.source());
  if (const auto name = config.optional_string("post_act_fn"))
    options.post_activation = ops::parse_activation(*name, config.source());
  options.condition_channels = config.optional_int("cond_proj_dim").value_or(0);
  nn::TimestepEmbedding<float> module(loader, config.require_int("in_channels"),
                                      config.require_int("time_embed_dim"), options);
  config.finish();
  return [module](const ops::Context& context, const Recorded& run) {
    Tensor<float> condition;
    if (run.has("in.c")) condition = run.tensor("in.c");
    return module(context, run.tensor("in.x"), condition.empty() ? nullptr : &condition);
  };
}

template <class T>
Block ada_layer_norm_continuous(const Config& config, const nn::Loader& loader) {
  config.expect("elementwise_affine", {"false"});
  nn::AdaLayerNormContinuous<T> module(loader, config.require_int("embedding_dim"),
                                       config.require_int("conditioning_embedding_dim"),
                                       static_cast<float>(config.get("eps", 1e-5)));
  config.finish();
  return [module](const ops::Context& context, const Recorded& run) {
    return module(context, run.tensor("in.x"), run.tensor("in.emb")).template to<float>();
  };
}

template <class T>
Block rms_norm(const Config& config, const nn::Loader& loader) {
  const nn::RmsNorm module(loader, config.require_int("dim"), static_cast<float>(config.get("eps", 1e-6)));
  config.finish();
  return [module](const ops::Context& context, const Recorded& run) {
    return module.apply<T>(context, run.tensor("in.x")).template to<float>();
  };
}

template <class T>
using Maker = Block (*)(const Config&, const nn::Loader&);
template <class T>
const std::map<std::string, Maker<T>>& makers() {
  static const std::map<std::string, Maker<T>> table{{"AdaLayerNormContinuous", ada_layer_norm_continuous<T>},
                                                     {"Attention", attention<T>},
                                                     {"BasicTransformerBlock", basic_transformer_block<T>},
                                                     {"Transformer2DModel", transformer_2d<T>},
                                                     {"FeedForward", feed_forward<T>},
                                                     {"RMSNorm", rms_norm<T>},
                                                     {"ResnetBlock2D", resnet<T>},
                                                     {"Downsample2D", downsample<T>},
                                                     {"Upsample2D", upsample<T>},
                                                     {"TimestepEmbedding", timestep_embedding_mlp<T>}};
  return table;
}

template <class T>
std::optional<Result> run_as(const std::filesystem::path& folder, const Config& config,
                             const Options& options) {
  const auto maker = makers<T>().find(config.class_name());
  if (maker == makers<T>().end()) return std::nullopt;
  const auto context = options.context();
  const auto block = maker->second(config, loader_for(folder / "weights.safetensors", context));
  Result result;
  for (const auto& run : recorded_runs(folder)) {
    const auto y = block(context, run);
    result.checks.push_back({"y" + run.label(), test::difference(y, run.tensor("out.y")),
                             std::is_same_v<T, float> ? bounds::block : bounds::bfloat16_network});
  }
  return result;
}

}  // namespace

std::optional<Result> run_block(const std::filesystem::path& folder, const Config& config,
                                const Options& options) {
  if (auto result = run_named_block(folder, config, options)) return result;
  return options.with_type([&]<class T>() { return run_as<T>(folder, config, options); });
}

}  // namespace daguerre::conformance
