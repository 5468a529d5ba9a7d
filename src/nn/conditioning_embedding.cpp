#include "daguerre/nn/conditioning_embedding.hpp"

#include <array>
#include <utility>

#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/host_values.hpp"
#include "daguerre/ops/rearrange.hpp"

namespace daguerre::nn {
namespace {

constexpr const char* embedding_name = "timestep_embedding";

/// Width of the sinusoid; fixed in all references.
constexpr Index sinusoid_width = 256;

/// Throws ArgumentError unless there is one value for all of the batch, or one for each.
void check_steering_values(std::span<const float> values, Index batch, const char* what) {
  if (values.size() != 1 && static_cast<Index>(values.size()) != batch)
    throw ArgumentError(embedding_name,
                        std::to_string(values.size()) + what + std::to_string(batch) + " images");
}

/// a + b, of which one may be a row for all.
Tensor<float> add_vectors(const ops::Context& context, const Tensor<float>& a, const Tensor<float>& b) {
  if (a.dim(0) == b.dim(0)) return ops::add(context, a, b);
  return a.dim(0) == 1 ? ops::add_to_each(context, b, a[0]) : ops::add_to_each(context, a, b[0]);
}

Tensor<float> embedded_sinusoid(const ops::Context& context, const TimestepEmbedding<float>& embedder,
                                std::span<const float> values,
                                const ops::TimestepEmbeddingOptions& options = {}) {
  return embedder(context, ops::timestep_embedding(context, values, sinusoid_width, options));
}

}  // namespace

TimestepLabelEmbedding::TimestepLabelEmbedding(const Loader& loader, const Options& options)
    : options_(options),
      timestep_embedder_(loader.sub("timestep_embedder"), sinusoid_width, options.dim),
      embedding_table_(
          loader.sub("class_embedder.embedding_table").tensor("weight", {options.labels, options.dim})) {}

Tensor<float> TimestepLabelEmbedding::operator()(const ops::Context& context,
                                                 std::span<const float> timesteps,
                                                 std::span<const std::int32_t> class_labels) const {
  check_steering_values(timesteps, static_cast<Index>(class_labels.size()), " timesteps for ");
  const auto embedded = embedded_sinusoid(context, timestep_embedder_, timesteps, options_.timestep);
  return add_vectors(context, embedded, ops::embedding_lookup(context, embedding_table_, class_labels));
}

bool TimestepLabelEmbedding::same_weights(const Loader& a, const Loader& b, const Options& options) {
  const Index dim = options.dim;
  const std::pair<const char*, Shape> tensors[] = {
      {"timestep_embedder.linear_1.weight", {dim, sinusoid_width}},
      {"timestep_embedder.linear_1.bias", {dim}},
      {"timestep_embedder.linear_2.weight", {dim, dim}},
      {"timestep_embedder.linear_2.bias", {dim}},
      {"class_embedder.embedding_table.weight", {options.labels, dim}}};
  bool same = true;
  // All are read, also behind a difference: what is not asked for would be reported as unused.
  for (const auto& [name, shape] : tensors) {
    const auto left = a.tensor(name, shape), right = b.tensor(name, shape);
    same = ops::same_values(left, right) && same;
  }
  return same;
}

TimestepTextEmbedding::TimestepTextEmbedding(const Loader& loader, const Options& options)
    : options_(options),
      timestep_embedder_(loader.sub("timestep_embedder"), sinusoid_width, options.dim),
      text_embedder_(loader.sub("text_embedder"), options.pooled_dim, options.dim) {
  if (options.embeds_guidance)
    guidance_embedder_.emplace(loader.sub("guidance_embedder"), sinusoid_width, options.dim);
}

void TimestepTextEmbedding::check(std::span<const float> timesteps, const Tensor<float>& pooled) const {
  if (pooled.rank() != 2 || pooled.dim(1) != options_.pooled_dim || pooled.empty())
    throw ArgumentError(embedding_name, "pooled prompt " + to_string(pooled.shape()) + ", expected [N, " +
                                            std::to_string(options_.pooled_dim) + "]");
  check_steering_values(timesteps, pooled.dim(0), " timesteps for ");
}

Tensor<float> TimestepTextEmbedding::operator()(const ops::Context& context, std::span<const float> timesteps,
                                                std::span<const float> guidance,
                                                const Tensor<float>& pooled) const {
  check(timesteps, pooled);
  auto time = embedded_sinusoid(context, timestep_embedder_, timesteps);
  if (guidance_embedder_) {
    check_steering_values(guidance, pooled.dim(0), " guidance scales for ");
    time = add_vectors(context, time, embedded_sinusoid(context, *guidance_embedder_, guidance));
  } else if (!guidance.empty()) {
    throw ArgumentError(embedding_name, "this network reads no guidance scale");
  }
  return add_vectors(context, time, text_embedder_(context, pooled));
}

Tensor<float> TimestepTextEmbedding::without_guidance(const ops::Context& context,
                                                      std::span<const float> timesteps,
                                                      const Tensor<float>& pooled) const {
  check(timesteps, pooled);
  return add_vectors(context, embedded_sinusoid(context, timestep_embedder_, timesteps),
                     text_embedder_(context, pooled));
}

TimestepSizeEmbedding::TimestepSizeEmbedding(const Loader& loader, Index dim, bool embeds_size)
    : dim_(dim), timestep_embedder_(loader.sub("timestep_embedder"), sinusoid_width, dim) {
  if (!embeds_size) return;
  if (dim % 3 != 0)
    throw ConfigError(embedding_name, loader.scope.prefix() + ": " + std::to_string(dim) +
                                          " channels do not split into those of height, width and ratio");
  resolution_embedder_.emplace(loader.sub("resolution_embedder"), sinusoid_width, dim / 3);
  aspect_ratio_embedder_.emplace(loader.sub("aspect_ratio_embedder"), sinusoid_width, dim / 3);
}

Tensor<float> TimestepSizeEmbedding::operator()(const ops::Context& context, Index batch,
                                                std::span<const float> timesteps,
                                                std::span<const float> sizes,
                                                std::span<const float> aspect_ratios) const {
  check_steering_values(timesteps, batch, " timesteps for ");
  const Index expected = resolution_embedder_ ? batch : 0;
  if (static_cast<Index>(sizes.size()) != 2 * expected ||
      static_cast<Index>(aspect_ratios.size()) != expected)
    throw ArgumentError(embedding_name, std::to_string(sizes.size()) + " numbers of sizes and " +
                                            std::to_string(aspect_ratios.size()) +
                                            " aspect ratios, expected " + std::to_string(2 * expected) +
                                            " and " + std::to_string(expected));
  auto time = embedded_sinusoid(context, timestep_embedder_, timesteps);
  if (!resolution_embedder_) {
    if (time.dim(0) == batch) return time;
    return ops::add_to_each(context, ops::full(context, {batch, dim_}, 0.0f), time[0]);
  }
  const auto size = embedded_sinusoid(context, *resolution_embedder_, sizes).reshape({batch, dim_ / 3 * 2});
  const auto ratio = embedded_sinusoid(context, *aspect_ratio_embedder_, aspect_ratios);
  return add_vectors(context, time, ops::concat_channels(context, size, ratio));
}

}  // namespace daguerre::nn
