#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <mutex>
#include <new>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daguerre/ops/activation.hpp"
#include "daguerre/ops/context.hpp"
#include "ops/engines/onednn/onednn_compat.hpp"
#include "ops/headroom.hpp"

/// What every oneDNN operation of the engine is made of: primitives that are made once for each shape.
namespace daguerre::ops::onednn {

using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;

template <class T>
constexpr Type type_of = std::is_same_v<T, float> ? Type::f32 : Type::bf16;

/// oneDNN 2.x follows null pointers when memory runs out while it makes a primitive; with this much left it
/// was not seen to.
constexpr std::size_t onednn_headroom = std::size_t{192} << 20;

/// Turns oneDNN's exceptions into the library's, and keeps oneDNN to the calling thread.
template <class F>
auto translated(const char* who, F&& action) {
  require_headroom(onednn_headroom);
  const OneThread one;
  try {
    return action();
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_out_of_memory) throw std::bad_alloc();
    throw ArgumentError(who, std::string("oneDNN refused the operation: ") + error.what());
  }
}

inline dnnl::engine cpu() {
  return dnnl::engine(dnnl::engine::kind::cpu, 0);
}

/// oneDNN takes pointers to mutable data also for what it only reads.
template <class T>
memory borrow(const memory::desc& desc, const dnnl::engine& engine, const T* data) {
  return memory(desc, engine, const_cast<T*>(data));
}

inline void append_activation(dnnl::post_ops& operations, Activation activation) {
  using dnnl::algorithm;
  switch (activation) {
    case Activation::none:
      return;
    case Activation::silu:
      return append_eltwise(operations, algorithm::eltwise_swish, 1.0f);
    case Activation::quick_gelu:
      return append_eltwise(operations, algorithm::eltwise_swish, 1.702f);
    case Activation::gelu:
      return append_eltwise(operations, algorithm::eltwise_gelu_erf, 0.0f);
    case Activation::gelu_tanh:
      return append_eltwise(operations, algorithm::eltwise_gelu_tanh, 0.0f);
    case Activation::relu:
      return append_eltwise(operations, algorithm::eltwise_relu, 0.0f);
    case Activation::mish:
      return append_eltwise(operations, algorithm::eltwise_mish, 0.0f);
  }
}

inline dnnl::primitive_attr attributes_with(const dnnl::post_ops& operations) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attributes.set_post_ops(operations);
  return attributes;
}

/// A primitive ready to run, with what it needs.
struct Prepared {
  dnnl::primitive primitive;
  memory::desc source, destination, scratchpad, weights_layout;
  memory weights;       ///< empty where they are given at each call
  bool is_fast = true;  ///< by one of oneDNN's kernels, with the weights as they are packed

  template <class PrimitiveDesc>
  static Prepared from(const PrimitiveDesc& desc, const dnnl::primitive& primitive, memory weights = {}) {
    return {primitive,           desc.src_desc(),   desc.dst_desc(), desc.scratchpad_desc(),
            desc.weights_desc(), std::move(weights)};
  }
};

/// Primitives by shape, made on first use. Thread-safe.
template <class Key>
class PrimitiveCache {
 public:
  template <class Make>
  Prepared get(const Key& key, const Make& make) {
    const std::lock_guard lock(mutex_);
    const auto found = prepared_.find(key);
    if (found != prepared_.end()) return found->second;
    if (prepared_.size() >= most_primitives) prepared_.clear();
    return prepared_.emplace(key, make()).first->second;
  }

 private:
  /// A bound on memory, not met by a host that uses a few sizes.
  static constexpr std::size_t most_primitives = 256;
  std::mutex mutex_;
  std::map<Key, Prepared> prepared_;
};

using Arguments = std::unordered_map<int, memory>;

/// Runs `prepared` with the context's scratch memory.
inline void execute(const Context& context, const Prepared& prepared, const dnnl::engine& engine,
                    Arguments arguments) {
  const auto scratch = context.pool.allocate(prepared.scratchpad.get_size());
  arguments.emplace(DNNL_ARG_SCRATCHPAD, memory(prepared.scratchpad, engine, scratch.get()));
  dnnl::stream stream(engine);
  prepared.primitive.execute(stream, arguments);
  stream.wait();
}

}  // namespace daguerre::ops::onednn
