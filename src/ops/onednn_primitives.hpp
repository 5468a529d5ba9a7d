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

#include "daguerre/ops/context.hpp"
#include "ops/headroom.hpp"
#include "ops/onednn_compat.hpp"

/// What every oneDNN operation of the engine is made of: weights in the layouts that were asked for, and
/// primitives that are made once for each shape.
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

inline dnnl::primitive_attr attributes_with(const dnnl::post_ops& operations) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attributes.set_post_ops(operations);
  return attributes;
}

/// One layer's weights in every layout that was asked for; as a rule one. Not to be used from two threads at
/// once.
class PackedWeights {
 public:
  /// Packs `values`, which lie as `plain` says, into `packed`, the layout for a typical input. `axis` is the
  /// output channels'.
  template <class Value>
  PackedWeights(const Threads& threads, const dnnl::engine& engine, const memory::desc& plain,
                const Tensor<Value>& values, const memory::desc& packed, int axis)
      : engine_(engine), axis_(axis) {
    layouts_.push_back(reordered(threads, borrow(plain, engine_, values.data()), packed));
  }

  /// The weights in `layout`. A layout that turns out to be wanted from the first input on replaces the one
  /// packed at load, so that a model run at one size has its weights once.
  memory get(const Threads& threads, const memory::desc& layout) {
    for (const auto& each : layouts_)
      if (each.view.get_desc() == layout) return is_used_ = true, each.view;
    auto packed = reordered(threads, layouts_.front().view, layout);
    if (!is_used_) layouts_.clear();
    is_used_ = true;
    return layouts_.emplace_back(std::move(packed)).view;
  }

 private:
  struct Packed {
    std::shared_ptr<std::byte> bytes;
    memory view;
  };
  Packed reordered(const Threads& threads, memory source, const memory::desc& layout) const {
    Packed packed{allocate_bytes(layout.get_size()), {}};
    packed.view = memory(layout, engine_, packed.bytes.get());
    if (!reorder_in_parts(threads, source, packed.view)) reorder(source, packed.view);
    return packed;
  }

  /// Groups of output channels, each in one thread; false where the layouts cannot be divided.
  bool reorder_in_parts(const Threads& threads, const memory& source, const memory& packed) const {
    auto dims = packed.get_desc().dims();
    const auto channels = dims[static_cast<std::size_t>(axis_)];
    const memory::dim part = 64;  // whole blocks of every layout
    if (threads.count() == 1 || channels < 2 * part || packed.get_desc().get_size() < smallest_divided)
      return false;
    memory::dims offsets(dims.size(), 0);
    const auto parts_of = [&](const memory& whole, memory::dim first, memory::dim count) {
      offsets[static_cast<std::size_t>(axis_)] = first;
      dims[static_cast<std::size_t>(axis_)] = count;
      return memory(whole.get_desc().submemory_desc(dims, offsets), engine_, whole.get_data_handle());
    };
    std::vector<std::pair<memory, memory>> parts;
    try {
      for (memory::dim first = 0; first < channels; first += part) {
        const auto count = std::min(part, channels - first);
        parts.emplace_back(parts_of(source, first, count), parts_of(packed, first, count));
      }
    } catch (const dnnl::error&) {  // blocks that are not whole, or sums that belong to all channels
      return false;
    }
    parallel_for(threads, static_cast<Index>(parts.size()), 1, [&](Index begin, Index end) {
      const OneThread one;
      for (Index i = begin; i < end; ++i) {
        auto& [from, to] = parts[static_cast<std::size_t>(i)];
        reorder(from, to);
      }
    });
    return true;
  }

  void reorder(memory& source, memory& packed) const {
    dnnl::stream stream(engine_);
    dnnl::reorder(source, packed).execute(stream, source, packed);
    stream.wait();
  }

  static constexpr std::size_t smallest_divided = std::size_t{1} << 20;
  dnnl::engine engine_;
  int axis_;
  std::vector<Packed> layouts_;
  bool is_used_ = false;
};

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
