#include "daguerre/nn/ada_norm-inl.hpp"
#include "daguerre/ops/host_values.hpp"

namespace daguerre::nn {
namespace {

/// Width of the sinusoid; fixed in both references.
constexpr Index sinusoid_width = 256;

}  // namespace

TimestepLabelEmbedding::TimestepLabelEmbedding(const Loader& loader, const Options& options)
    : options_(options),
      timestep_embedder_(loader.sub("timestep_embedder"), sinusoid_width, options.dim),
      embedding_table_(
          loader.sub("class_embedder.embedding_table").tensor("weight", {options.labels, options.dim})) {}

Tensor<float> TimestepLabelEmbedding::operator()(const ops::Context& context,
                                                 std::span<const float> timesteps,
                                                 std::span<const std::int32_t> class_labels) const {
  const std::size_t batch = class_labels.size();
  if (timesteps.size() != 1 && timesteps.size() != batch)
    throw ArgumentError("timestep_embedding", std::to_string(timesteps.size()) + " timesteps for " +
                                                  std::to_string(batch) + " class labels");
  const auto sinusoid = ops::timestep_embedding(context, timesteps, sinusoid_width, options_.timestep);
  const auto embedded = timestep_embedder_(context, sinusoid);
  const auto labels = ops::embedding_lookup(context, embedding_table_, class_labels);
  return timesteps.size() == batch ? ops::add(context, embedded, labels)
                                   : ops::add_to_each(context, labels, embedded[0]);
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

template class AdaLayerNormZero<float>;
template class AdaLayerNormZero<bfloat16>;

}  // namespace daguerre::nn
