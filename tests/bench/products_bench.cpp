#include <cmath>
#include <memory>

#include "bench.hpp"

namespace daguerre::bench {
namespace {

struct LinearShape {
  const char* name;
  Index tokens, in, out;
};
constexpr LinearShape linear_shapes[] = {{"tiny", 32, 32, 32},
                                         {"64x64_out_proj", 8192, 320, 320},
                                         {"64x64_qkv", 8192, 320, 960},
                                         {"64x64_geglu", 8192, 320, 2560},
                                         {"64x64_ff_out", 8192, 1280, 320},
                                         {"32x32_geglu", 2048, 640, 5120},
                                         {"16x16_geglu", 512, 1280, 10240},
                                         {"16x16_ff_out", 512, 5120, 1280},
                                         {"text_kv", 154, 768, 1280}};

struct ConvShape {
  const char* name;
  Index batch, side, in, out, kernel;
};
constexpr ConvShape conv_shapes[] = {{"tiny", 1, 8, 16, 16, 3},
                                     {"64x64_320", 2, 64, 320, 320, 3},
                                     {"64x64_960_to_320", 2, 64, 960, 320, 3},
                                     {"32x32_640", 2, 32, 640, 640, 3},
                                     {"16x16_1280", 2, 16, 1280, 1280, 3},
                                     {"16x16_2560_to_1280", 2, 16, 2560, 1280, 3},
                                     {"8x8_1280", 2, 8, 1280, 1280, 3},
                                     {"conv_in", 2, 64, 4, 320, 3},
                                     {"conv_out", 2, 64, 320, 4, 3},
                                     {"decoder_512x512_128", 1, 512, 128, 128, 3}};

struct AttentionShape {
  const char* name;
  Index batch, queries, keys, head_dim;
  int heads;
};
constexpr AttentionShape attention_shapes[] = {
    {"tiny", 1, 32, 16, 8, 2},          {"64x64_self", 2, 4096, 4096, 40, 8},
    {"64x64_text", 2, 4096, 77, 40, 8}, {"32x32_self", 2, 1024, 1024, 80, 8},
    {"32x32_text", 2, 1024, 77, 80, 8}, {"16x16_self", 2, 256, 256, 160, 8},
    {"8x8_self", 2, 64, 64, 160, 8},    {"decoder", 1, 4096, 4096, 512, 1}};

template <class T>
Prepared linear(const LinearShape& shape, const ops::Context& context) {
  const auto weight = random_tensor({shape.out, shape.in});
  const auto x = random_tensor_as<T>({shape.tokens, shape.in});
  const auto y = Tensor<T>({shape.tokens, shape.out});
  std::shared_ptr packed = context.engine->as<T>().pack_linear(context, weight, random_tensor({shape.out}));
  const double weights = static_cast<double>(weight.size() * static_cast<Index>(sizeof(T)));
  return {[=] { benchmark::DoNotOptimize((*packed)(context, x).data()); },
          {bytes_of(x, y) + weights, 2.0 * static_cast<double>(x.size() * shape.out)}};
}

template <class T>
Prepared conv2d(const ConvShape& shape, const ops::Context& context) {
  const auto weight = random_tensor({shape.out, shape.in, shape.kernel, shape.kernel});
  const auto x = random_tensor_as<T>({shape.batch, shape.side, shape.side, shape.in});
  const auto y = Tensor<float>({shape.batch, shape.side, shape.side, shape.out});
  std::shared_ptr packed =
      context.engine->as<T>().pack_conv2d(context, weight, random_tensor({shape.out}),
                                          ops::ConvGeometry::same(static_cast<int>(shape.kernel / 2)));
  const double weights = static_cast<double>(weight.size() * static_cast<Index>(sizeof(T)));
  return {[=] { benchmark::DoNotOptimize((*packed)(context, x).data()); },
          {bytes_of(x, y) + weights,
           2.0 * static_cast<double>(y.size() * shape.in * shape.kernel * shape.kernel)}};
}

template <class T>
Prepared attention(const AttentionShape& shape, const ops::Context& context) {
  const Index width = shape.heads * shape.head_dim;
  const auto q = random_tensor_as<T>({shape.batch, shape.queries, width});
  const auto kv = random_tensor_as<T>({shape.batch, shape.keys, 2 * width});
  const auto call = [=] {
    using View = ops::TokenView<T>;
    ops::AttentionArguments<T> arguments{View::all(q), View::columns(kv, 0, width),
                                         View::columns(kv, width, width), shape.heads,
                                         1.0f / std::sqrt(static_cast<float>(shape.head_dim))};
    benchmark::DoNotOptimize(context.engine->as<T>().attention(context, arguments).data());
  };
  const double pairs = static_cast<double>(shape.batch * shape.queries * shape.keys);
  return {call, {bytes_of(q, kv, q), 4.0 * pairs * static_cast<double>(width)}};
}

template <class T>
void add_for(const std::string& engine, int threads) {
  const auto suffix = "/" + engine + "/" + type_name<T>();
  const auto add_all = [&](const char* operation, const auto& shapes, auto prepare) {
    for (const auto& shape : shapes)
      add(std::string(operation) + "/" + shape.name + suffix,
          [=] { return prepare(shape, context(threads, engine)); });
  };
  add_all("linear", linear_shapes, linear<T>);
  add_all("conv2d", conv_shapes, conv2d<T>);
  add_all("attention", attention_shapes, attention<T>);
}

}  // namespace

void add_products(int threads) {
  for (const auto& engine : ops::engine_names()) {
    add_for<float>(engine, threads);
    add_for<bfloat16>(engine, threads);
  }
}

}  // namespace daguerre::bench
