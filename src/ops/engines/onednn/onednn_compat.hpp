#pragma once

#include <oneapi/dnnl/dnnl.hpp>

#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
#include <omp.h>
#endif

/// The one place that knows how oneDNN 2.x and 3.x differ.
namespace daguerre::ops::onednn {

/// While it lives, primitives that this thread makes, and runs, divide no work: the tiles do. What the
/// thread's own OpenMP regions may use is put back afterwards, and other threads are not touched.
class OneThread {
 public:
#if DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP
  OneThread() noexcept : before_(omp_get_max_threads()) {
    if (before_ != 1) omp_set_num_threads(1);
  }
  ~OneThread() {
    if (before_ != 1) omp_set_num_threads(before_);
  }

 private:
  int before_;

 public:
#elif DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_SEQ
  OneThread() noexcept {}
#else
#error "oneDNN must be built with OpenMP or without threads: others cannot be told to use one thread"
#endif
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
};

/// Elements from the whole's beginning to that of a part of it.
inline dnnl::memory::dim offset_of(const dnnl::memory::desc& part) {
#if DNNL_VERSION_MAJOR >= 3
  return part.get_submemory_offset();
#else
  return part.data.offset0;
#endif
}

inline void append_eltwise(dnnl::post_ops& operations, dnnl::algorithm algorithm, float alpha) {
#if DNNL_VERSION_MAJOR >= 3
  operations.append_eltwise(algorithm, alpha, 0.0f);
#else
  operations.append_eltwise(1.0f, algorithm, alpha, 0.0f);
#endif
}

inline dnnl::matmul::primitive_desc matmul_desc(const dnnl::engine& engine, const dnnl::memory::desc& source,
                                                const dnnl::memory::desc& weights,
                                                const dnnl::memory::desc& bias,
                                                const dnnl::memory::desc& destination,
                                                const dnnl::primitive_attr& attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine, source, weights, bias, destination, attributes};
#else
  return {dnnl::matmul::desc(source, weights, bias, destination), attributes, engine};
#endif
}

inline dnnl::convolution_forward::primitive_desc convolution_desc(
    const dnnl::engine& engine, const dnnl::memory::desc& source, const dnnl::memory::desc& weights,
    const dnnl::memory::desc& bias, const dnnl::memory::desc& destination, const dnnl::memory::dims& strides,
    const dnnl::memory::dims& padding_begin, const dnnl::memory::dims& padding_end,
    const dnnl::primitive_attr& attributes) {
  constexpr auto kind = dnnl::prop_kind::forward_inference;
  constexpr auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  return {engine,      kind,    algorithm,     source,      weights,   bias,
          destination, strides, padding_begin, padding_end, attributes};
#else
  return {dnnl::convolution_forward::desc(kind, algorithm, source, weights, bias, destination, strides,
                                          padding_begin, padding_end),
          attributes, engine};
#endif
}

}  // namespace daguerre::ops::onednn
