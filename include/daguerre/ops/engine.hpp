#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "daguerre/ops/activation.hpp"
#include "daguerre/ops/operations.hpp"
#include "daguerre/ops/weight_source.hpp"

namespace daguerre::ops {

/// A linear layer's weights, packed by an engine: y = activation(x W^T + b) [+ residual]. T is the type that
/// is multiplied; sums are float32.
template <class T>
class PackedLinear {
 public:
  virtual ~PackedLinear() = default;
  /// `[..., in]` to `[..., out]`, rounded to T for the next product. Safe from many threads at once, as the
  /// other is.
  virtual Tensor<T> operator()(const Context& context, const Tensor<T>& x) const = 0;
  /// The same, not rounded; `residual`, of the result's shape, is added last.
  virtual Tensor<float> accumulate(const Context& context, const Tensor<T>& x,
                                   const Tensor<float>* residual = nullptr) const = 0;
};

/// Where a convolution's window moves.
struct ConvGeometry {
  int stride = 1;
  int pad_top = 0;
  int pad_left = 0;
  int pad_bottom = 0;
  int pad_right = 0;

  /// `pad` zeros on every side.
  static ConvGeometry same(int pad, int stride = 1) { return {stride, pad, pad, pad, pad}; }
  /// The output's extent for an input of `size` (rows when `vertical`). Throws ArgumentError when the kernel
  /// does not fit.
  Index output_size(Index size, Index kernel, bool vertical) const;
};

/// A 2-D convolution's weights, packed by an engine: y = activation(x * W + b) [+ residual].
template <class T>
class PackedConv2d {
 public:
  virtual ~PackedConv2d() = default;
  /// `[N, H, W, in]` to `[N, H', W', out]`. `residual`, of the result's shape or empty, is added last; one
  /// that is given away becomes the result. Safe from many threads.
  virtual Tensor<float> operator()(const Context& context, const Tensor<T>& x,
                                   Tensor<float> residual = {}) const = 0;
  /// The same, rounded to T, for what is only read by norms and products: half the memory.
  virtual Tensor<T> rounded(const Context& context, const Tensor<T>& x) const;
  /// Both of `x[N, h, w, in]` enlarged to `height` x `width` by the nearest pixel (see
  /// ops::upsample_nearest), which need not be stored.
  virtual Tensor<float> enlarged(const Context& context, const Tensor<float>& x, Index height,
                                 Index width) const;
  virtual Tensor<T> enlarged_rounded(const Context& context, const Tensor<float>& x, Index height,
                                     Index width) const;
};

/// `width` neighbouring columns of a `[batch, length, stride]` tensor, borrowed: how one wide product's
/// result serves as queries, keys and values without a copy.
template <class T>
struct TokenView {
  const T* data = nullptr;
  Index batch = 0;
  Index length = 0;
  Index width = 0;
  Index stride = 0;        ///< elements from one token to the next
  Index batch_stride = 0;  ///< from one of the batch to the next; 0: length * stride

  /// Where token `token` of the `n`-th begins.
  const T* at(Index n, Index token) const noexcept {
    return data + n * (batch_stride == 0 ? length * stride : batch_stride) + token * stride;
  }
  /// Columns [column, column + width) of `tensor[N, L, C]`.
  static TokenView columns(const Tensor<T>& tensor, Index column, Index width) {
    if (tensor.rank() != 3 || column < 0 || width < 0 || column + width > tensor.dim(2))
      throw ArgumentError("attention", "columns outside of " + to_string(tensor.shape()));
    return {tensor.data() + column, tensor.dim(0), tensor.dim(1), width, tensor.dim(2)};
  }
  static TokenView all(const Tensor<T>& tensor) { return columns(tensor, 0, tensor.dim(-1)); }
  /// The first `count` tokens of each of `tensor[N, L, C]`: what a store of keys has been filled with.
  static TokenView first(const Tensor<T>& tensor, Index count) {
    auto view = all(tensor);
    if (count < 0 || count > view.length)
      throw ArgumentError("attention", std::to_string(count) + " tokens of " + to_string(tensor.shape()));
    view.batch_stride = view.length * view.stride;
    view.length = count;
    return view;
  }
};

/// softmax(q k^T * scale + biases) v for every head; heads are neighbouring columns of equal width.
template <class T>
struct AttentionArguments {
  TokenView<T> query;  ///< [N, L, heads * d]
  TokenView<T> key;    ///< [N, S, key_heads * d]
  TokenView<T> value;  ///< [N, S, key_heads * d]
  int heads = 1;
  float scale = 1.0f;                       ///< 1 / sqrt(d), as a rule
  const Tensor<float>* key_bias = nullptr;  ///< [N, S], added to the logits of every query
  /// [L + S - 1, heads], added to the logit of query i and key j in the row j - i + L - 1: a bias [heads, L,
  /// S] that depends on how far the two are from each other only (Raffel et al. 2020, sec. 2.1).
  const Tensor<float>* relative_bias = nullptr;
  bool causal = false;  ///< query i sees keys 0..i only
  /// Heads of keys and values, each of which serves as many neighbouring heads of queries (Ainslie et al.
  /// 2023); 0: as many as those.
  int key_heads = 0;
  /// With `causal`: how many keys come before the first query's own. Query i sees keys 0..first_query + i.
  Index first_query = 0;
  Index window = 0;       ///< with `causal`: of these, only so many, the query's own the last; 0: all
  float soft_cap = 0.0f;  ///< c: scaled logits are c tanh(logits / c), before biases; 0: as they are

  int heads_of_keys() const noexcept { return key_heads == 0 ? heads : key_heads; }
  /// Of one head.
  Index value_width() const noexcept { return value.width / heads_of_keys(); }
  /// 2 x multiplications of the two products, those that `causal` leaves out included.
  Index flops() const noexcept {
    return 2 * query.batch * query.length * key.length * (query.width + heads * value_width());
  }
};

/// The operations for one element type: the heavy ones, which take nearly all the time and which an engine
/// must have, and those between them, which the host does where it does not. In bfloat16 only what is
/// multiplied is rounded: the results of convolutions, and the sums that run through a network, stay float32.
/// Rounding those too would nearly double the error.
template <class T>
class EngineFor : public OperationsFor<T> {
 public:
  /// `weight[out, in]`, `bias[out]` or empty. Throws ArgumentError when the shapes do not fit.
  /// Packing is divided among the context's threads; where its placement is `packed`, the weight's sources
  /// are released behind it, where it is `mapped` the layer keeps them.
  virtual std::unique_ptr<const PackedLinear<T>> pack_linear(
      const Context& context, const Weight& weight, const Tensor<float>& bias,
      Activation activation = Activation::none) const = 0;
  /// `weight[out, in, kh, kw]`, `bias[out]` or empty.
  virtual std::unique_ptr<const PackedConv2d<T>> pack_conv2d(
      const Context& context, const Weight& weight, const Tensor<float>& bias, const ConvGeometry& geometry,
      Activation activation = Activation::none) const = 0;
  /// Attention without ever storing the L x S matrix (Rabe & Staats 2021; Dao et al. 2022): `[N, L, heads *
  /// d]`.
  virtual Tensor<T> attention(const Context& context, const AttentionArguments<T>& arguments) const = 0;
};

/// Runs the operations of networks, for the element types whose EngineFor it has as a public base beside this
/// one: the library's engines for float and bfloat16, a host's for what it likes. Networks multiply in float,
/// too, whatever their own type. Immutable; one serves any number of networks and threads.
class Engine : public Operations {
 public:
  virtual std::string_view name() const noexcept = 0;
  /// The version of what it multiplies with: "3.4.0". Empty where that says nothing.
  virtual std::string version() const { return {}; }
  /// What it does for T; nullptr where that is nothing.
  template <class T>
  const EngineFor<T>* find() const noexcept {
    return dynamic_cast<const EngineFor<T>*>(this);
  }
  /// The same. Throws ArgumentError, naming engine and type, where there is nothing.
  template <class T>
  const EngineFor<T>& as() const {
    if (const auto* found = find<T>()) return *found;
    refuse(typeid(T));
  }

 private:
  [[noreturn]] void refuse(const std::type_info& type) const;
};

/// What the context's engine does for T; nullptr where that is nothing, or there is no engine.
template <class T>
const EngineFor<T>* engine_for(const Context& context) noexcept {
  return context.engine ? context.engine->find<T>() : nullptr;
}

/// Calls `run` with the operations of the context's engine, or with the host's where there is none.
template <class F>
auto with_operations(const Context& context, const F& run) {
  return context.engine ? run(static_cast<const Operations&>(*context.engine)) : run(Operations());
}

/// The engines compiled in, best first: "onednn" where present, "native" always. As
/// EngineRegistry::standard() says, and makes them.
std::vector<std::string> engine_names();
/// The engine of that name; "auto" is the best. Throws ArgumentError naming those there are.
std::shared_ptr<const Engine> make_engine(std::string_view name = "auto");

/// The version of what the engine of that name multiplies with. Throws ArgumentError as `make_engine` does.
std::string engine_version(std::string_view name);
/// The instruction set that this library's own kernels use here: "avx512_bf16", "avx512", "avx2", "baseline".
std::string_view instruction_set() noexcept;

/// `engine` with 8-bit layers in the place of those for bfloat16: weights of 8 bits with a scale for each
/// output channel; what they are multiplied with is rounded to 8 bits at each call, rows of linear layers and
/// whole images of convolutions having a scale and a zero point of their own. Attention and the float layers
/// stay as they are. Convolutions of 8 bits are always packed; mapped linear layers are rounded at each
/// product, which gives the same. Throws ArgumentError unless `engine` is "onednn".
std::shared_ptr<const Engine> make_int8_engine(std::shared_ptr<const Engine> engine);

/// True where the processor multiplies bfloat16 itself (AVX512-BF16 or AMX).
bool has_native_bfloat16() noexcept;
/// True where it does so faster than float32: by AMX, or on AMD's.
bool has_fast_bfloat16() noexcept;

}  // namespace daguerre::ops
