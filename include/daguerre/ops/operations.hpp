#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "daguerre/ops/activation.hpp"
#include "daguerre/ops/norm_statistics.hpp"
#include "daguerre/ops/weight_source.hpp"

namespace daguerre::ops {

enum class Border;
enum class DepthOrder;
enum class PatchOrder;
struct ChannelChunk;
struct GroupNormExtras;
struct InterpolateOptions;
struct JointChunk;
struct PoolWindow;
struct RotaryTable;
struct SpaceTimeBlock;
struct TimestepEmbeddingOptions;
template <class T>
struct HeadStream;
template <class T>
struct TokenView;

/// What an engine does between products, where the result is float32. Each runs on the host unless the engine
/// overrides it; what each does stands at the function of the same name in `ops/`, which checks the arguments
/// and books the time before it calls the engine of its context. An engine that overrides one gets what the
/// host would do by the qualified name: `Operations::add(…)`. Safe from many threads at once.
class Operations {
 public:
  virtual ~Operations() = default;

  virtual Tensor<float> activate(const Context& context, const Tensor<float>& x, Activation activation) const;
  virtual Tensor<float> leaky_relu(const Context& context, Tensor<float> x,
                                   const Tensor<float>& slopes) const;
  virtual Tensor<float> add(const Context& context, const Tensor<float>& a, const Tensor<float>& b,
                            float scale) const;
  virtual Tensor<float> add_gated(const Context& context, const Tensor<float>& residual,
                                  const ChannelChunk& gate, const Tensor<float>& x) const;
  virtual Tensor<float> add_joint_gated(const Context& context, Tensor<float> residual, Index prompt_length,
                                        const JointChunk& gate, const Tensor<float>& x) const;
  virtual Tensor<float> add_to_each(const Context& context, const Tensor<float>& x,
                                    const Tensor<float>& y) const;
  virtual Tensor<float> add_rows(const Context& context, const Tensor<float>& x,
                                 const Tensor<float>& rows) const;
  virtual Tensor<float> put_rows(const Context& context, Tensor<float> x,
                                 std::span<const std::int32_t> places, const Tensor<float>& rows) const;
  virtual Tensor<float> weighted_sum(const Context& context, const Tensor<float>& x, float a, Tensor<float> y,
                                     float b) const;
  virtual Tensor<float> divide_each(const Context& context, const Tensor<float>& x,
                                    std::span<const float> divisors) const;
  virtual Tensor<float> multiply_add(const Context& context, const Tensor<float>& a, const Tensor<float>& b,
                                     const Tensor<float>& c) const;
  virtual Tensor<float> affine(const Context& context, const Tensor<float>& x, float scale,
                               float shift) const;
  virtual Tensor<float> clamp(const Context& context, const Tensor<float>& x, float low, float high) const;
  virtual Tensor<float> exponential(const Context& context, const Tensor<float>& x, float scale) const;
  virtual Tensor<float> hyperbolic_tangent(const Context& context, const Tensor<float>& x, float scale) const;
  virtual Tensor<float> full(const Context& context, const Shape& shape, float value) const;

  virtual Tensor<float> mean(const Context& context, const Tensor<float>& x, int axis) const;
  virtual Tensor<std::int32_t> nearest_rows(const Context& context, const Tensor<float>& table,
                                            const Tensor<float>& x) const;

  virtual Tensor<float> patchify(const Context& context, const Tensor<float>& x, Index patch,
                                 PatchOrder order) const;
  virtual Tensor<float> unpatchify(const Context& context, const Tensor<float>& tokens, Index height,
                                   Index width, Index patch, PatchOrder order) const;
  virtual Tensor<float> depth_to_space_time(const Context& context, const Tensor<float>& x,
                                            const SpaceTimeBlock& block, DepthOrder order) const;
  virtual Tensor<float> space_time_to_depth(const Context& context, const Tensor<float>& x,
                                            const SpaceTimeBlock& block, DepthOrder order) const;
  virtual Tensor<float> add_plane(const Context& context, Tensor<float> x, const Tensor<float>& plane,
                                  const Tensor<float>& scale) const;
  virtual Tensor<float> duplicate_to_space_time(const Context& context, const Tensor<float>& x,
                                                const SpaceTimeBlock& block, Index channels) const;
  virtual Tensor<float> blend(const Context& context, const Tensor<float>& neighbour, Tensor<float> tile,
                              int axis, Index extent) const;

  virtual Tensor<float> resize_bilinear(const Context& context, const Tensor<float>& x, Index height,
                                        Index width) const;
  virtual Tensor<float> resize_bilinear_tf1(const Context& context, const Tensor<float>& x, Index height,
                                            Index width) const;
  virtual Tensor<float> interpolate(const Context& context, const Tensor<float>& x, Index height, Index width,
                                    const InterpolateOptions& options) const;
  virtual Tensor<float> average_pool_2x2(const Context& context, const Tensor<float>& x) const;
  virtual Tensor<float> global_average_pool(const Context& context, const Tensor<float>& x) const;
  virtual Tensor<float> standardise(const Context& context, const Tensor<float>& x, const Tensor<float>& mean,
                                    const Tensor<float>& deviation) const;
  virtual Tensor<float> direction_distance(const Context& context, const Tensor<float>& a,
                                           const Tensor<float>& b, const Tensor<float>& weights) const;
  virtual Tensor<float> fir_downsample(const Context& context, const Tensor<float>& x, Border border) const;
  virtual Tensor<float> fir_upsample(const Context& context, const Tensor<float>& x, Border border) const;

  virtual Tensor<float> scale_low_frequencies(const Context& context, const Tensor<float>& x,
                                              float scale) const;

  virtual Tensor<float> timestep_embedding(const Context& context, std::span<const float> timesteps,
                                           Index width, const TimestepEmbeddingOptions& options) const;
  virtual Tensor<float> fourier_features(const Context& context, const Tensor<float>& x,
                                         std::span<const float> frequencies) const;
  virtual Tensor<float> fourier_embedding(const Context& context, std::span<const float> times,
                                          const Tensor<float>& frequencies, bool flip_sin_to_cos) const;

  virtual std::vector<NormStatistics::Group> group_statistics(const Context& context,
                                                              std::span<const Tensor<float>> parts,
                                                              int groups) const;
};

/// The same for operations whose result, or whose input, is of the type T that products multiply. The host's
/// are the functions in `ops::host`, defined for a T of the host's own in the `-inl.hpp` headers.
template <class T>
class OperationsFor {
 public:
  virtual ~OperationsFor() = default;

  virtual Tensor<T> group_norm(const Context& context, const Tensor<float>& x, const Tensor<float>& gamma,
                               const Tensor<float>& beta, int groups, float epsilon, Activation activation,
                               const GroupNormExtras& extras) const;
  /// `group_norm` of an x that is rounded to T.
  virtual Tensor<T> group_norm_rounded(const Context& context, const Tensor<T>& x, const Tensor<float>& gamma,
                                       const Tensor<float>& beta, int groups, float epsilon,
                                       Activation activation, const GroupNormExtras& extras) const;
  virtual Tensor<T> layer_norm(const Context& context, const Tensor<float>& x, const Tensor<float>& gamma,
                               const Tensor<float>& beta, float epsilon) const;
  virtual Tensor<T> rms_norm(const Context& context, const Tensor<float>& x, const Tensor<float>& gamma,
                             float epsilon, Activation activation) const;
  virtual Tensor<T> modulated_layer_norm(const Context& context, const Tensor<float>& x,
                                         const ChannelChunk& scale, const ChannelChunk& shift,
                                         float epsilon) const;
  virtual Tensor<T> joint_modulated_norm(const Context& context, const Tensor<float>& x, Index prompt_length,
                                         const Tensor<float>& gamma, const Tensor<float>& beta,
                                         const JointChunk& scale, const JointChunk& shift,
                                         float epsilon) const;
  virtual Tensor<T> modulated_rms_norm(const Context& context, const Tensor<float>& x,
                                       const ChannelChunk& scale, const ChannelChunk& shift, float epsilon,
                                       Activation activation) const;
  virtual Tensor<T> join_heads(const Context& context, std::span<const HeadStream<T>> streams, Index head_dim,
                               const RotaryTable* rotation) const;
  virtual Tensor<T> append_tokens(const Context& context, Tensor<T> store, Index kept,
                                  const TokenView<T>& tokens, Index most) const;
  virtual Tensor<T> gated_activation(const Context& context, const Tensor<T>& x, Activation activation) const;

  virtual Tensor<T> concat_channels(const Context& context, const Tensor<float>& a,
                                    const Tensor<float>& b) const;
  /// `axis` is counted from the front; there are two parts at least.
  virtual Tensor<T> concat(const Context& context, std::span<const Tensor<T>> parts, int axis) const;
  /// Not called for what can share x's elements. `narrow` and `chunk` come here, too.
  virtual Tensor<T> crop(const Context& context, const Tensor<T>& x, std::span<const Index> begin,
                         const Shape& extents) const;
  virtual Tensor<T> repeat_edges(const Context& context, const Tensor<T>& x, Index rows, Index columns) const;
  /// Not called where A or B is 1.
  virtual Tensor<T> swap_axes(const Context& context, const Tensor<T>& x) const;
  /// `cast` to T and to float32; where T is float32 they are not called.
  virtual Tensor<T> rounded(const Context& context, const Tensor<float>& x) const;
  virtual Tensor<float> widened(const Context& context, const Tensor<T>& x) const;

  virtual Tensor<T> upsample_nearest(const Context& context, const Tensor<float>& x, Index height,
                                     Index width) const;

  virtual Tensor<T> max_pool(const Context& context, const Tensor<T>& x, const PoolWindow& window) const;
  virtual Tensor<T> average_pool(const Context& context, const Tensor<T>& x, const PoolWindow& window) const;

  virtual Tensor<T> embedding_lookup(const Context& context, const Tensor<T>& table,
                                     std::span<const std::int32_t> ids) const;
  /// `embedding_lookup` in a table `[V, C]` that is read where it is stored.
  virtual Tensor<T> mapped_embedding_lookup(const Context& context, const Weight& table,
                                            std::span<const std::int32_t> ids) const;
};

}  // namespace daguerre::ops
