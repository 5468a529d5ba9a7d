#pragma once

#include <functional>
#include <string>

#include "weights/adapters/difference.hpp"
#include "weights/adapters/keys.hpp"

namespace daguerre::weights::adapters {

/// Makes a module's difference out of its factors, for a weight of `shape`. `refuse` throws, given what is
/// wrong; nothing is computed before all extents are known to fit.
class Factors {
 public:
  using Refuse = std::function<void(const std::string&)>;
  Factors(const Module& module, const Shape& shape, const Refuse& refuse)
      : module_(module), shape_(shape), refuse_(refuse) {}

  /// The difference; nullptr when the module has none. Throws by `refuse` for more than one.
  DifferencePointer difference() const;
  /// By which a product of `rank` is multiplied: alpha / rank, or 1 where there is no alpha.
  float scale(Index rank) const;

 private:
  DifferencePointer lora() const;
  DifferencePointer loha() const;
  DifferencePointer loha_part(Role a, Role b, Role core, float scale) const;
  DifferencePointer lokr() const;
  DifferencePointer lokr_right(float scale) const;
  DifferencePointer diff() const;

  void require(Role role, const char* what) const;
  void check_rank(Index rank) const;
  /// A product that `core`, where there is one, stands between; all of the extents that are wanted.
  DifferencePointer checked_product(const Tensor<float>& up, const Tensor<float>& down,
                                    const Tensor<float>* core, Index rows, Index row_size, float scale) const;
  const Tensor<float>* find(Role role) const;
  Index rows() const { return shape_[0]; }
  Index row_size() const { return shape_.tail().size(); }

  const Module& module_;
  const Shape& shape_;
  const Refuse& refuse_;
};

}  // namespace daguerre::weights::adapters
