#include "ops/engines/native/winograd_conv.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "daguerre/ops/engine-inl.hpp"
#include "daguerre/ops/resample-inl.hpp"
#include "ops/engines/engines.hpp"
#include "ops/engines/native/winograd_weights.hpp"

// A picture's tiles are worked on in groups. First all of a group's inputs are transformed; then tasks, each
// of some of its tiles and a block of output channels, transform the weights of 64 channels at a time,
// multiply, and transform the sums back to results, which so long have not left the second-level cache.
namespace daguerre::ops {
namespace {

/// With 16 on one side it took twice as long as oneDNN, with 32 on both 0.9 to 1.2 times, with 64 half.
constexpr Index fewest_channels = 32;
constexpr Index winograd_kernel = 3;
/// Between the numbers of two points, so that those of 36 points do not meet in the same lines of a cache.
constexpr Index stream_padding = 16;
/// Tasks for each thread in a group of tiles, and the most bytes of its transformed inputs if fewer are to be
/// had: they stay in the last-level cache.
constexpr Index wanted_tasks = 4;
constexpr Index most_group_bytes = Index{24} << 20;

constexpr Index winograd_divided(Index value, Index by) {
  return (value + by - 1) / by;
}

/// For each pixel that tiles read along one axis, where it is in the picture; -1: beyond its edge, a zero.
std::vector<Index> pixels_read(Index outputs, Index pad, Index size, Index enlarged) {
  const Index tiles = winograd_divided(outputs, kernels::winograd_side);
  std::vector<Index> result(static_cast<std::size_t>(tiles * kernels::winograd_side + winograd_kernel - 1));
  for (Index i = 0; i < static_cast<Index>(result.size()); ++i) {
    const Index at = i - pad;
    result[static_cast<std::size_t>(i)] = at < 0 || at >= enlarged ? -1 : at * size / enlarged;
  }
  return result;
}

template <class T>
class WinogradConv2d final : public PackedConv2d<T> {
 public:
  WinogradConv2d(const Context& context, const Weight& weight, const Tensor<float>& bias,
                 const ConvGeometry& geometry, Activation activation, const kernels::WinogradKernels& kernels)
      : kernels_(kernels),
        shape_(weight.shape()),
        weights_(context, weight, kernels),
        bias_(bias),
        zeros_(Tensor<T>::zeros({weight.dim(1)})),
        geometry_(geometry),
        activation_(activation) {}

  Tensor<float> operator()(const Context& context, const Tensor<T>& x,
                           Tensor<float> residual) const override {
    return convolve<float>(context, x, extent(x, 1), extent(x, 2), std::move(residual));
  }
  Tensor<T> rounded(const Context& context, const Tensor<T>& x) const override {
    return convolve<T>(context, x, extent(x, 1), extent(x, 2), {});
  }
  Tensor<float> enlarged(const Context& context, const Tensor<float>& x, Index height,
                         Index width) const override {
    detail::check_resampling("upsample_nearest", x, height, width);
    return convolve<float>(context, cast<T>(context, x), height, width, {});
  }
  Tensor<T> enlarged_rounded(const Context& context, const Tensor<float>& x, Index height,
                             Index width) const override {
    detail::check_resampling("upsample_nearest", x, height, width);
    return convolve<T>(context, cast<T>(context, x), height, width, {});
  }

 private:
  static Index extent(const Tensor<T>& x, int axis) { return x.rank() == 4 ? x.dim(axis) : 0; }

  /// A product's input, and where its result goes.
  template <class Out>
  struct Call {
    const Tensor<T>& x;
    Shape shape;  ///< of the result
    Out* out = nullptr;
    const float* residual = nullptr;
    std::vector<Index> rows{}, columns{};  ///< of pixels that are read
    Index tile_rows = 0, tile_columns = 0;

    Index tiles() const noexcept { return shape[0] * tile_rows * tile_columns; }
  };
  /// A tile of a batch of pictures.
  struct Place {
    Index picture, row, column;
    template <class Out>
    Place(const Call<Out>& call, Index tile)
        : picture(tile / (call.tile_rows * call.tile_columns)),
          row(tile / call.tile_columns % call.tile_rows * kernels::winograd_side),
          column(tile % call.tile_columns * kernels::winograd_side) {}
  };
  /// Neighbouring tiles, in parts of which each is a task's, and their transformed inputs.
  struct Group {
    Index first, tiles, part, stream;
    float* inputs;

    Index tiles_of(Index index) const noexcept { return std::min(part, tiles - index * part); }
    Index block_stride() const noexcept { return tiles * kernels::winograd_depth; }
  };
  /// What a thread works in.
  struct Scratch {
    Scratch(const Context& context, const kernels::WinogradKernels& kernels, Index tiles)
        : weights_stream(kernels::winograd_depth * kernels.outputs + stream_padding),
          sums_stream(tiles * kernels.outputs + stream_padding),
          weights(context.empty<float>({kernels::winograd_points, weights_stream})),
          sums(context.empty<float>({kernels::winograd_points, sums_stream})) {}
    Index weights_stream, sums_stream;
    Tensor<float> weights, sums;
  };

  template <class Out>
  Tensor<Out> convolve(const Context& context, const Tensor<T>& x, Index height, Index width,
                       Tensor<float> residual) const {
    auto enlarged = x.shape();
    if (enlarged.rank() == 4) enlarged = Shape{x.dim(0), height, width, x.dim(3)};
    Call<Out> call{x, conv_output_shape(enlarged, shape_, geometry_)};
    check_residual(call.shape, residual.empty() ? nullptr : &residual, "conv2d");
    // Each element is read before it is written, so the result may take the residual's place.
    if (!residual.empty()) call.residual = std::as_const(residual).data();
    Tensor<Out> y;
    if constexpr (std::is_same_v<Out, float>)
      if (!residual.empty() && residual.is_unique()) y = std::move(residual);
    if (y.empty()) y = context.empty<Out>(call.shape);
    if (y.empty()) return y;
    call.out = y.data();
    call.rows = pixels_read(call.shape[1], geometry_.pad_top, x.dim(1), height);
    call.columns = pixels_read(call.shape[2], geometry_.pad_left, x.dim(2), width);
    call.tile_rows = winograd_divided(call.shape[1], kernels::winograd_side);
    call.tile_columns = winograd_divided(call.shape[2], kernels::winograd_side);
    run(context, call);
    return y;
  }

  template <class Out>
  void run(const Context& context, const Call<Out>& call) const {
    const Index tiles = call.tiles(), groups_of_outputs = weights_.groups();
    const Index part = winograd_divided(tiles, winograd_divided(tiles, kernels_.tiles));
    const Index channel_blocks = winograd_divided(shape_[1], kernels::winograd_depth);
    const Index part_bytes = kernels::winograd_points * channel_blocks * kernels::winograd_depth * part *
                             static_cast<Index>(sizeof(float));
    const Index wanted = winograd_divided(wanted_tasks * context.threads.count(), groups_of_outputs);
    const Index parts = std::clamp<Index>(most_group_bytes / part_bytes, 1, std::max<Index>(1, wanted));
    const Index most_tiles = std::min(tiles, parts * part);
    const Index stream = channel_blocks * kernels::winograd_depth * most_tiles + stream_padding;
    auto inputs = context.empty<float>({kernels::winograd_points, stream});
    // Weights that many groups of tiles want are made once, others when they are wanted.
    const bool makes_all = !weights_.is_mapped() || tiles > most_tiles;
    std::optional<typename WinogradWeights<T>::All> all;
    if (makes_all) all.emplace(context, weights_);
    for (Index first = 0; first < tiles; first += most_tiles) {
      context.check_stop();
      const Group group{first, std::min(most_tiles, tiles - first), part, stream, inputs.data()};
      parallel_for(context.threads, group.tiles, 4, [&](Index begin, Index end) {
        for (Index tile = begin; tile < end; ++tile) transform(call, group, tile);
      });
      const Index group_parts = winograd_divided(group.tiles, part);
      parallel_for(context.threads, groups_of_outputs * group_parts, 1, [&](Index begin, Index end) {
        Scratch scratch(context, kernels_, part);
        std::optional<typename WinogradWeights<T>::Maker> make;
        if (!makes_all) make.emplace(context, weights_);
        const std::byte* weights = nullptr;
        for (Index task = begin; task < end; ++task) {
          const Index outputs = task / group_parts, index = task % group_parts;
          if (makes_all)
            weights = all->group(outputs);
          else if (task == begin || index == 0)
            weights = make->group(outputs);
          multiply(call, group, index, outputs * kernels_.outputs, weights, scratch);
        }
      });
    }
    weights_.release();
  }

  template <class Out>
  void transform(const Call<Out>& call, const Group& group, Index tile) const {
    const Place place(call, group.first + tile);
    const Index channels = shape_[1], height = call.x.dim(1), width = call.x.dim(2);
    std::array<const T*, kernels::winograd_points> pixels;
    for (Index i = 0; i < kernels::winograd_points; ++i) {
      const Index row = call.rows[static_cast<std::size_t>(place.row + i / kernels::winograd_in_side)];
      const Index column =
          call.columns[static_cast<std::size_t>(place.column + i % kernels::winograd_in_side)];
      pixels[static_cast<std::size_t>(i)] =
          row < 0 || column < 0
              ? zeros_.data()
              : call.x.data() + ((place.picture * height + row) * width + column) * channels;
    }
    float* const to = group.inputs + tile * kernels::winograd_depth;
    if constexpr (std::is_same_v<T, float>)
      kernels_.transform_f32(pixels.data(), channels, to, group.block_stride(), group.stream);
    else
      kernels_.transform_bf16(pixels.data(), channels, to, group.block_stride(), group.stream);
  }

  /// A part of the group's tiles, and output channels from `output` on.
  template <class Out>
  void multiply(const Call<Out>& call, const Group& group, Index index, Index output,
                const std::byte* weights, Scratch& scratch) const {
    const Index tiles = group.tiles_of(index), channels = shape_[1];
    const float* inputs = group.inputs + index * group.part * kernels::winograd_depth;
    const Index channel_bytes =
        shape_[2] * shape_[3] * kernels_.outputs * static_cast<Index>(size_of(weights_.dtype()));
    float* const sums = scratch.sums.data();
    for (Index c = 0; c < channels; c += kernels::winograd_depth, inputs += group.block_stride()) {
      const Index depth = std::min(kernels::winograd_depth, channels - c);
      kernels_.transform_weights(weights + c * channel_bytes, weights_.dtype(), depth, scratch.weights.data(),
                                 scratch.weights_stream);
      kernels_.multiply(inputs, group.stream, std::as_const(scratch.weights).data(), scratch.weights_stream,
                        depth, tiles, sums, scratch.sums_stream, c > 0);
    }
    const Index count = std::min(kernels_.outputs, shape_[0] - output);
    const float* const bias = bias_.empty() ? nullptr : bias_.data() + output;
    for (Index i = 0; i < tiles; ++i) {
      const Place place(call, group.first + index * group.part + i);
      const Index out = shape_[0], width = call.shape[2];
      const Index at = ((place.picture * call.shape[1] + place.row) * width + place.column) * out + output;
      const kernels::WinogradTile<Out> to{call.out + at,
                                          call.residual == nullptr ? nullptr : call.residual + at,
                                          activation_,
                                          width * out,
                                          out,
                                          std::min(kernels::winograd_side, call.shape[1] - place.row),
                                          std::min(kernels::winograd_side, width - place.column)};
      if constexpr (std::is_same_v<Out, float>)
        kernels_.finish_f32(sums + i * kernels_.outputs, scratch.sums_stream, count, bias, to);
      else
        kernels_.finish_bf16(sums + i * kernels_.outputs, scratch.sums_stream, count, bias, to);
    }
  }

  const kernels::WinogradKernels& kernels_;
  Shape shape_;
  WinogradWeights<T> weights_;
  Tensor<float> bias_;
  Tensor<T> zeros_;
  ConvGeometry geometry_;
  Activation activation_;
};

}  // namespace

bool suits_winograd(const Context& context, const Shape& weight, const ConvGeometry& geometry) noexcept {
  return context.minimal_filtering && weight[2] == winograd_kernel && weight[3] == winograd_kernel &&
         geometry.stride == 1 && std::min(weight[0], weight[1]) >= fewest_channels;
}

template <class T>
std::unique_ptr<const PackedConv2d<T>> make_winograd_conv2d(const Context& context, const Weight& weight,
                                                            const Tensor<float>& bias,
                                                            const ConvGeometry& geometry,
                                                            Activation activation,
                                                            const kernels::WinogradKernels& kernels) {
  return std::make_unique<WinogradConv2d<T>>(context, weight, bias, geometry, activation, kernels);
}

template std::unique_ptr<const PackedConv2d<float>> make_winograd_conv2d(const Context&, const Weight&,
                                                                         const Tensor<float>&,
                                                                         const ConvGeometry&, Activation,
                                                                         const kernels::WinogradKernels&);
template std::unique_ptr<const PackedConv2d<bfloat16>> make_winograd_conv2d(const Context&, const Weight&,
                                                                            const Tensor<float>&,
                                                                            const ConvGeometry&, Activation,
                                                                            const kernels::WinogradKernels&);

}  // namespace daguerre::ops
