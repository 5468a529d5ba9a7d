#include "bench.hpp"
#include "daguerre/ops/activation.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "daguerre/ops/norm.hpp"
#include "daguerre/ops/resample.hpp"

namespace daguerre::bench {
namespace {

struct MapShape {
  const char* name;
  Index batch, side, channels;
};
constexpr MapShape map_shapes[] = {{"tiny", 1, 8, 32},          {"64x64_320", 2, 64, 320},
                                   {"64x64_960", 2, 64, 960},   {"32x32_640", 2, 32, 640},
                                   {"16x16_1280", 2, 16, 1280}, {"decoder_512x512_128", 1, 512, 128}};
struct TokenShape {
  const char* name;
  Index tokens, channels;
};
constexpr TokenShape token_shapes[] = {
    {"tiny", 32, 32}, {"64x64_320", 8192, 320}, {"32x32_640", 2048, 640}, {"16x16_1280", 512, 1280}};

Tensor<float> map_of(const MapShape& shape) {
  return random_tensor({shape.batch, shape.side, shape.side, shape.channels});
}

/// A call that reads `inputs` and writes its result.
template <class Operation, class... Inputs>
Prepared over(Operation operation, const Inputs&... inputs) {
  const double bytes = bytes_of(inputs..., operation(inputs...));
  return {[=] { benchmark::DoNotOptimize(operation(inputs...).data()); }, {bytes, 0.0}};
}

template <class T>
void add_for(int threads) {
  const auto suffix = "/" + type_name<T>();
  for (const auto& shape : map_shapes) {
    add(std::string("group_norm_silu/") + shape.name + suffix, [=] {
      const auto gamma = random_tensor({shape.channels});
      return over(
          [=, context = context(threads)](const Tensor<float>& x) {
            return ops::group_norm<T>(context, x, gamma, gamma, 32, 1e-5f, ops::Activation::silu);
          },
          map_of(shape));
    });
    add(std::string("upsample_nearest/") + shape.name + suffix, [=] {
      return over(
          [context = context(threads)](const Tensor<float>& x) {
            return ops::upsample_nearest<T>(context, x, 2 * x.dim(1), 2 * x.dim(2));
          },
          map_of(shape));
    });
  }
  for (const auto& shape : token_shapes) {
    add(std::string("layer_norm/") + shape.name + suffix, [=] {
      const auto gamma = random_tensor({shape.channels});
      return over([=, context = context(threads)](
                      const Tensor<float>& x) { return ops::layer_norm<T>(context, x, gamma, gamma, 1e-5f); },
                  random_tensor({shape.tokens, shape.channels}));
    });
    add(std::string("geglu/") + shape.name + suffix, [=] {
      return over(
          [context = context(threads)](const Tensor<T>& x) {
            return ops::gated_activation(context, x, ops::Activation::gelu);
          },
          random_tensor_as<T>({shape.tokens, 8 * shape.channels}));
    });
  }
}

void add_for_float(int threads) {
  for (const auto& shape : map_shapes) {
    add(std::string("cast/") + shape.name + "/f32_to_bf16", [=] {
      return over(
          [context = context(threads)](const Tensor<float>& x) { return ops::cast<bfloat16>(context, x); },
          map_of(shape));
    });
    add(std::string("cast/") + shape.name + "/bf16_to_f32", [=] {
      return over(
          [context = context(threads)](const Tensor<bfloat16>& x) { return ops::cast<float>(context, x); },
          map_of(shape).to<bfloat16>());
    });
    add(std::string("add/") + shape.name + "/f32", [=] {
      return over([context = context(threads)](const Tensor<float>& a,
                                               const Tensor<float>& b) { return ops::add(context, a, b); },
                  map_of(shape), map_of(shape));
    });
    add(std::string("concat_channels/") + shape.name + "/f32", [=] {
      return over(
          [context = context(threads)](const Tensor<float>& a, const Tensor<float>& b) {
            return ops::concat_channels(context, a, b);
          },
          map_of(shape), map_of(shape));
    });
  }
}

}  // namespace

void add_memory_operations(int threads) {
  add_for<float>(threads);
  add_for<bfloat16>(threads);
  add_for_float(threads);
}

}  // namespace daguerre::bench
