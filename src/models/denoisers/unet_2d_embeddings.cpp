#include "daguerre/models/denoisers/unet_2d_embeddings.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "daguerre/ops/host_values.hpp"
#include "daguerre/ops/profile.hpp"
#include "daguerre/ops/rearrange.hpp"

namespace daguerre::models {
namespace {

/// Rows of `table` at `indices`, which must be whole numbers. Throws ArgumentError.
Tensor<float> rows_at(const ops::Context& context, const Tensor<float>& table, std::span<const float> indices,
                      const char* what) {
  std::vector<std::int32_t> ids;
  for (const float index : indices) {
    if (!(index >= 0.0f && index < static_cast<float>(table.dim(0))) || index != std::trunc(index))
      throw ArgumentError("unet", std::string(what) + " " + std::to_string(index) + " is not one of 0 to " +
                                      std::to_string(table.dim(0) - 1));
    ids.push_back(static_cast<std::int32_t>(index));
  }
  return ops::embedding_lookup(context, table, ids);
}

}  // namespace

TimeProjection::TimeProjection(const nn::Loader& loader, const TimeProjectionOptions& options)
    : options_(options) {
  using Kind = TimeProjectionOptions::Kind;
  if (options.kind == Kind::fourier) weight_ = loader.tensor("weight", {options.width / 2});
  if (options.kind == Kind::learned) weight_ = loader.tensor("weight", {options.rows, options.width});
}

Tensor<float> TimeProjection::operator()(const ops::Context& context, std::span<const float> times) const {
  using Kind = TimeProjectionOptions::Kind;
  if (options_.kind == Kind::learned) return rows_at(context, weight_, times, "timestep");
  if (options_.kind == Kind::positional)
    return ops::timestep_embedding(context, times, options_.width, options_.sinusoid);

  std::vector<float> levels(times.begin(), times.end());
  if (options_.of_logarithm)
    for (float& level : levels) level = std::log(level);
  return ops::fourier_embedding(context, levels, weight_, options_.sinusoid.flip_sin_to_cos);
}

ClassEmbedding::ClassEmbedding(const nn::Loader& loader, const ClassEmbeddingOptions& options)
    : options_(options) {
  using Kind = ClassEmbeddingOptions::Kind;
  switch (options.kind) {
    case Kind::none:
    case Kind::identity:
      return;
    case Kind::table:
      table_ = loader.tensor("weight", {options.rows, options.width});
      return;
    case Kind::timestep:
      perceptron_.emplace(loader, options.input_width, options.width, options.activation);
      return;
    case Kind::projection:
      perceptron_.emplace(loader, options.input_width, options.width);
      return;
    case Kind::simple_projection:
      linear_.emplace(loader, options.input_width, options.width);
  }
}

Tensor<float> ClassEmbedding::operator()(const ops::Context& context, const Tensor<float>& labels,
                                         Index batch, const TimeProjection& time) const {
  using Kind = ClassEmbeddingOptions::Kind;
  const bool numbers = options_.kind == Kind::table || options_.kind == Kind::timestep;
  const Index width = options_.kind == Kind::identity ? options_.width : options_.input_width;
  const bool fits = numbers ? labels.rank() == 1 && labels.dim(0) == batch
                            : labels.rank() == 2 && labels.dim(0) == batch && labels.dim(1) == width;
  if (labels.empty() || !fits)
    throw ArgumentError("unet", "class labels " + to_string(labels.shape()) + ", expected [" +
                                    std::to_string(batch) + (numbers ? "" : ", " + std::to_string(width)) +
                                    "]");
  if (options_.kind == Kind::table) return rows_at(context, table_, ops::host_values(labels), "class");
  if (options_.kind == Kind::timestep)
    return (*perceptron_)(context, time(context, ops::host_values(labels)));
  if (perceptron_) return (*perceptron_)(context, labels);
  return linear_ ? (*linear_)(context, labels) : labels;
}

Tensor<float> embedded_time(const ops::Context& context, const TimeProjection& projection,
                            const nn::TimestepEmbedding<float>& embedding, std::span<const float> timesteps,
                            Index batch, const Tensor<float>* condition) {
  const ops::Profile::Scope scope(context, ops::OpKind::embedding);
  const auto count = static_cast<Index>(timesteps.size());
  if (count != 1 && count != batch)
    throw ArgumentError("unet", std::to_string(count) + " timesteps for a batch of " + std::to_string(batch));
  const auto for_all = [&](Tensor<float> rows) {
    if (rows.dim(0) == batch) return rows;
    return ops::concat<float>(context, std::vector<Tensor<float>>(static_cast<std::size_t>(batch), rows), 0);
  };
  // With one time for all the perceptron runs once, unless a condition tells the batch apart.
  const auto projected = projection(context, timesteps);
  if (condition == nullptr) return for_all(embedding(context, projected));
  return embedding(context, for_all(projected), condition);
}

}  // namespace daguerre::models
