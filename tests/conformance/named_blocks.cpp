#include <algorithm>
#include <array>

#include "conformance/case.hpp"
#include "daguerre/nn/ada_norm.hpp"
#include "daguerre/nn/conditioning_embedding.hpp"
#include "daguerre/nn/joint_transformer.hpp"
#include "daguerre/ops/embedding.hpp"
#include "daguerre/ops/heads.hpp"

/// Blocks and functions that give more than one result, each under a name of its own.
namespace daguerre::conformance {
namespace {

/// Compares `actual` with the output of that name.
template <class T>
void check_output(Result& result, const Recorded& run, const std::string& name, const Tensor<float>& actual) {
  result.checks.push_back({name + run.label(), test::difference(actual, run.tensor("out." + name)),
                           std::is_same_v<T, float> ? bounds::block : bounds::bfloat16_network});
}

/// Part `index` of `[N, parts C]`, as `[N, C]`.
Tensor<float> part_of(const Tensor<float>& x, int index, int parts) {
  const Index channels = x.dim(1) / parts;
  Tensor<float> result({x.dim(0), channels});
  for (Index n = 0; n < x.dim(0); ++n)
    std::copy_n(x.data() + n * x.dim(1) + index * channels, channels, result.data() + n * channels);
  return result;
}

/// AdaLayerNormZero, with the embedding given or made from timesteps and classes.
template <class T>
Result run_ada_layer_norm_zero(const std::filesystem::path& folder, const Config& config,
                               const Options& options) {
  using Norm = nn::AdaLayerNormZero<T>;
  const Index dim = config.require_int("embedding_dim");
  const int classes = config.get("num_embeddings", 0);
  config.finish();
  const auto context = options.context();
  const auto loader = loader_for(folder / "weights.safetensors", context);
  const Norm norm(loader, dim);
  Result result;
  for (const auto& run : recorded_runs(folder)) {
    Tensor<float> embedding;
    if (classes > 0) {
      const nn::TimestepLabelEmbedding embed(
          loader.sub("emb"), {.dim = dim, .labels = classes + 1, .timestep = {.freq_shift = 1.0f}});
      embedding = embed(context, run.tensor("in.timestep").span(),
                        run.file().read<std::int32_t>("in.class_labels").span());
    } else {
      embedding = run.tensor("in.emb");
    }
    const auto modulation = norm.modulation(context, embedding);
    const auto check_part = [&](const char* name, typename Norm::Part part) {
      check_output<T>(result, run, name, part_of(modulation, part, Norm::parts));
    };
    check_output<T>(result, run, "y",
                    norm.apply(context, run.tensor("in.x"), modulation).template to<float>());
    check_part("gate_msa", Norm::gate_msa);
    check_part("shift_mlp", Norm::shift_mlp);
    check_part("scale_mlp", Norm::scale_mlp);
    check_part("gate_mlp", Norm::gate_mlp);
  }
  return result;
}

template <class T>
Result run_ada_layer_norm_zero_single(const std::filesystem::path& folder, const Config& config,
                                      const Options& options) {
  using Norm = nn::AdaLayerNormZeroSingle<T>;
  const Index dim = config.require_int("embedding_dim");
  config.finish();
  const auto context = options.context();
  const Norm norm(loader_for(folder / "weights.safetensors", context), dim);
  Result result;
  for (const auto& run : recorded_runs(folder)) {
    const auto modulation = norm.modulation(context, run.tensor("in.emb"));
    check_output<T>(result, run, "y",
                    norm.apply(context, run.tensor("in.x"), modulation).template to<float>());
    check_output<T>(result, run, "gate", part_of(modulation, Norm::gate, Norm::parts));
  }
  return result;
}

template <class T>
Result run_joint_transformer_block(const std::filesystem::path& folder, const Config& config,
                                   const Options& options) {
  nn::JointTransformerOptions block;
  block.dim = config.require_int("dim");
  block.num_attention_heads = config.require_int("num_attention_heads");
  block.attention_head_dim = config.require_int("attention_head_dim");
  block.context_pre_only = config.get("context_pre_only", false);
  block.use_dual_attention = config.get("use_dual_attention", false);
  if (const auto name = config.get("qk_norm", ""); !name.empty())
    block.qk_norm = nn::query_key_norm_called(name, true, 1e-6f);
  config.finish();
  const auto context = options.context();
  const nn::JointTransformerBlock<T> module(loader_for(folder / "weights.safetensors", context), block);
  Result result;
  for (const auto& run : recorded_runs(folder)) {
    const auto tokens = module(context, {run.tensor("in.x"), run.tensor("in.ctx")}, run.tensor("in.temb"));
    check_output<T>(result, run, "x", tokens.picture);
    if (run.has("out.ctx")) check_output<T>(result, run, "ctx", tokens.prompt);
  }
  return result;
}

/// apply_rotary_emb: cosines and sines are recorded once for each channel, here there is one for each pair.
Result run_rotary(const std::filesystem::path& folder, const Config& config, const Options& options) {
  const std::array<Index, 1> axes{config.require_int("dim")};
  const double theta = config.get("theta", 10000.0), theta_half = config.get("theta_half", 10000.0);
  config.finish();
  const auto context = options.context();
  Result result;
  for (const auto& run : recorded_runs(folder)) {
    const auto positions = run.tensor("in.pos").reshape({-1, 1});
    const auto x = run.file().read<float>("in.x");  // [N, heads, L, d]: each head is a sequence of one
    const auto tokens = x.reshape({x.dim(0) * x.dim(1), x.dim(2), x.dim(3)});
    const auto check = [&](const char* name, const char* cosine_name, double base, ops::RotaryPairs pairs) {
      const auto table = ops::rotary_table(positions, axes, base, pairs);
      const ops::HeadStream<float> stream{ops::TokenView<float>::all(tokens)};
      const auto turned = ops::join_heads<float>(context, std::array{stream}, axes[0], &table);
      result.checks.push_back(
          {name + run.label(),
           test::difference(turned.reshape(x.shape()), run.file().read<float>(std::string("out.") + name)),
           bounds::block});
      const auto recorded = run.tensor(std::string("out.") + cosine_name);
      auto cosine = table.cosine.clone();
      const bool together = pairs == ops::RotaryPairs::neighbours;
      for (Index i = 0; i < cosine.size(); ++i) {
        const Index half = axes[0] / 2, row = i / half * axes[0], column = i % half;
        cosine.data()[i] = recorded.data()[row + (together ? 2 * column : column)];
      }
      result.checks.push_back(
          {cosine_name + run.label(), test::difference(table.cosine, cosine), bounds::block});
    };
    check("interleaved", "cos", theta, ops::RotaryPairs::neighbours);
    check("half", "cos_half", theta_half, ops::RotaryPairs::halves);
  }
  return result;
}

/// get_2d_sincos_pos_embed: "gridH[xW][_baseB][_scaleS]" names the call.
Result run_sincos_2d(const std::filesystem::path& folder, const Config& config) {
  const Index channels = config.require_int("embed_dim");
  config.finish();
  Result result;
  for (const auto& run : recorded_runs(folder)) {
    for (const auto& name : run.names_below("out.")) {
      const auto number = [&](const char* key, Index fallback) {
        const auto at = name.find(key);
        return at == name.npos ? fallback
                               : static_cast<Index>(std::stoi(name.substr(at + std::string(key).size())));
      };
      const Index height = number("grid", 0), width = number("x", height);
      const auto actual = ops::sincos_positions_2d(channels, height, width, number("_base", 16),
                                                   static_cast<double>(number("_scale", 1)));
      result.checks.push_back({name, test::difference(actual, run.tensor("out." + name)), bounds::block});
    }
  }
  return result;
}

/// get_timestep_embedding: each output is a way to call it, its width being its own.
Result run_sinusoid(const std::filesystem::path& folder) {
  Result result;
  for (const auto& run : recorded_runs(folder)) {
    auto timesteps = run.tensor("in.timesteps");
    for (const auto& name : run.names_below("out.")) {
      ops::TimestepEmbeddingOptions call{
          .flip_sin_to_cos = name.find("flip0") == std::string::npos && name != "odd_dim",
          .freq_shift = name.find("shift0") != std::string::npos ? 0.0f : 1.0f};
      auto input = timesteps.clone();
      if (name == "scale1000") {
        call = {.flip_sin_to_cos = true, .freq_shift = 0.0f, .scale = 1000.0f};
        for (float& t : input.span()) t /= 1000.0f;
      }
      const auto expected = run.tensor("out." + name);
      // The angle at t = 999 is rounded to 6e-5; sine and cosine of correct libraries then differ by as much
      // at most.
      result.checks.push_back(
          {name, test::difference(ops::timestep_embedding(input.span(), expected.dim(1), call), expected),
           bounds::block});
    }
  }
  return result;
}

}  // namespace

std::optional<Result> run_named_block(const std::filesystem::path& folder, const Config& config,
                                      const Options& options) {
  if (config.class_name() == "get_timestep_embedding") return run_sinusoid(folder);
  if (config.class_name() == "get_2d_sincos_pos_embed") return run_sincos_2d(folder, config);
  if (config.class_name() == "apply_rotary_emb") return run_rotary(folder, config, options);
  if (config.class_name() == "AdaLayerNormZero")
    return options.with_type([&]<class T>() { return run_ada_layer_norm_zero<T>(folder, config, options); });
  if (config.class_name() == "AdaLayerNormZeroSingle")
    return options.with_type(
        [&]<class T>() { return run_ada_layer_norm_zero_single<T>(folder, config, options); });
  if (config.class_name() == "JointTransformerBlock")
    return options.with_type(
        [&]<class T>() { return run_joint_transformer_block<T>(folder, config, options); });
  return std::nullopt;
}

}  // namespace daguerre::conformance
