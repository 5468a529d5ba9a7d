#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::ops {
namespace {

/// Moves the elements between a picture `[N, h patch, w patch, C]` and its tokens: `move(picture, token,
/// count, stride)` is told of `count` elements that lie one behind the other in the picture and `stride`
/// apart in the token.
template <class Move>
void for_patches(const Context& context, const Shape& picture, Index patch, PatchOrder order,
                 const Move& move) {
  const Index height = picture[1] / patch, width = picture[2] / patch, channels = picture[3];
  const bool together = order == PatchOrder::rows_columns_channels;
  parallel_for(context.threads, picture[0] * height, 4, [&](Index begin, Index end) {
    for (Index line = begin; line < end; ++line)
      for (Index j = 0; j < width; ++j)
        for (Index p = 0; p < patch; ++p) {
          const Index pixel = ((line * patch + p) * width + j) * patch * channels;
          const Index token = (line * width + j) * patch * patch * channels;
          if (together) {
            move(pixel, token + p * patch * channels, patch * channels, 1);
            continue;
          }
          for (Index q = 0; q < patch; ++q)
            move(pixel + q * channels, token + p * patch + q, channels, patch * patch);
        }
  });
}

}  // namespace

Tensor<float> patchify(const Context& context, const Tensor<float>& x, Index patch, PatchOrder order) {
  const Profile::Scope scope(context, OpKind::concatenate);
  if (x.rank() != 4 || patch < 1 || x.dim(1) % patch != 0 || x.dim(2) % patch != 0)
    throw ArgumentError("patchify", "input " + to_string(x.shape()) +
                                        ", expected [N, H, W, C] with sides that " + std::to_string(patch) +
                                        " divides");
  return with_operations(context,
                         [&](const Operations& engine) { return engine.patchify(context, x, patch, order); });
}

Tensor<float> Operations::patchify(const Context& context, const Tensor<float>& x, Index patch,
                                   PatchOrder order) const {
  auto y = context.empty<float>(
      {x.dim(0), x.dim(1) / patch * (x.dim(2) / patch), checked_multiply(patch * patch, x.dim(3))});
  float* const out = y.data();
  for_patches(context, x.shape(), patch, order, [&](Index pixel, Index token, Index count, Index stride) {
    for (Index c = 0; c < count; ++c) out[token + c * stride] = x.data()[pixel + c];
  });
  return y;
}

Tensor<float> unpatchify(const Context& context, const Tensor<float>& tokens, Index height, Index width,
                         Index patch, PatchOrder order) {
  const Profile::Scope scope(context, OpKind::concatenate);
  if (tokens.rank() != 3 || height < 0 || width < 0 || patch < 1 ||
      tokens.dim(1) != checked_multiply(height, width) || tokens.dim(2) % checked_multiply(patch, patch) != 0)
    throw ArgumentError("unpatchify", "tokens " + to_string(tokens.shape()) + " for a grid of " +
                                          std::to_string(height) + " x " + std::to_string(width) +
                                          " patches of " + std::to_string(patch) + " x " +
                                          std::to_string(patch));
  return with_operations(context, [&](const Operations& engine) {
    return engine.unpatchify(context, tokens, height, width, patch, order);
  });
}

Tensor<float> Operations::unpatchify(const Context& context, const Tensor<float>& tokens, Index height,
                                     Index width, Index patch, PatchOrder order) const {
  auto y =
      context.empty<float>({tokens.dim(0), height * patch, width * patch, tokens.dim(2) / (patch * patch)});
  float* const out = y.data();
  for_patches(context, y.shape(), patch, order, [&](Index pixel, Index token, Index count, Index stride) {
    for (Index c = 0; c < count; ++c) out[pixel + c] = tokens.data()[token + c * stride];
  });
  return y;
}

template Tensor<float> concat(const Context&, std::span<const Tensor<float>>, int);
template Tensor<bfloat16> concat(const Context&, std::span<const Tensor<bfloat16>>, int);
template Tensor<float> crop(const Context&, const Tensor<float>&, std::span<const Index>, const Shape&);
template Tensor<bfloat16> crop(const Context&, const Tensor<bfloat16>&, std::span<const Index>, const Shape&);
template Tensor<float> narrow(const Context&, const Tensor<float>&, int, Index, Index);
template Tensor<bfloat16> narrow(const Context&, const Tensor<bfloat16>&, int, Index, Index);
template std::vector<Tensor<float>> chunk(const Context&, const Tensor<float>&, int, int);
template std::vector<Tensor<bfloat16>> chunk(const Context&, const Tensor<bfloat16>&, int, int);
template Tensor<float> swap_axes(const Context&, const Tensor<float>&);
template Tensor<bfloat16> swap_axes(const Context&, const Tensor<bfloat16>&);

}  // namespace daguerre::ops
