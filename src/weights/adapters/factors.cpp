#include "weights/adapters/factors.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace daguerre::weights::adapters {
namespace {

Index first_extent(const Tensor<float>& tensor) {
  return tensor.rank() == 0 ? 1 : tensor.dim(0);
}
Index later_extents(const Tensor<float>& tensor) {
  return tensor.rank() == 0 ? 1 : tensor.shape().tail().size();
}

}  // namespace

const Tensor<float>* Factors::find(Role role) const {
  const auto found = module_.tensors.find(role);
  return found == module_.tensors.end() ? nullptr : &found->second;
}

void Factors::require(Role role, const char* what) const {
  if (!module_.has(role)) refuse_(std::string("it has no ") + what);
}

void Factors::check_rank(Index rank) const {
  const Index most = 16 * std::max<Index>({rows(), row_size(), 1});
  if (rank < 1 || rank > most)
    refuse_("a rank of " + std::to_string(rank) + " for a weight of " + std::to_string(rows()) + " rows of " +
            std::to_string(row_size()));
}

float Factors::scale(Index rank) const {
  const auto* scalar = find(Role::scalar);
  const float factor = scalar == nullptr ? 1.0f : scalar->data()[0];
  const auto divisor = static_cast<float>(rank);
  float result = factor;
  if (const auto* alpha = find(Role::alpha))
    result = factor * (alpha->data()[0] / divisor);
  else if (module_.alpha)
    result = factor * (*module_.alpha / (module_.rank_stabilised ? std::sqrt(divisor) : divisor));
  if (!std::isfinite(result)) refuse_("its alpha and scalar together are too large");
  return result;
}

DifferencePointer Factors::checked_product(const Tensor<float>& up, const Tensor<float>& down,
                                           const Tensor<float>* core, Index rows, Index row_size,
                                           float scale) const {
  Index inner = first_extent(down), columns = later_extents(down);
  const Index outer = later_extents(up);
  check_rank(outer);
  check_rank(inner);
  if (core != nullptr) {
    if (core->rank() < 2 || core->dim(0) != outer || core->dim(1) != inner)
      refuse_("a middle factor of shape " + to_string(core->shape()) + " between ranks of " +
              std::to_string(outer) + " and " + std::to_string(inner));
    columns = checked_multiply(columns, core->shape().tail().tail().size());
    inner = outer;
  }
  if (outer != inner)
    refuse_("factors of shapes " + to_string(up.shape()) + " and " + to_string(down.shape()) +
            ", whose ranks differ");
  if (first_extent(up) != rows || columns != row_size)
    refuse_("factors for " + std::to_string(first_extent(up)) + " rows of " + std::to_string(columns) +
            ", expected " + std::to_string(rows) + " of " + std::to_string(row_size));
  return product(up, core == nullptr ? down : contract_core(*core, down), scale);
}

DifferencePointer Factors::lora() const {
  require(Role::up, "lora_up");
  require(Role::down, "lora_down");
  const auto& up = module_[Role::up];
  const auto& down = module_[Role::down];
  const Index rank = first_extent(down);
  if (module_.rank && *module_.rank != rank)
    refuse_("lora_down has a rank of " + std::to_string(rank) + ", the file's metadata say " +
            std::to_string(*module_.rank));
  check_rank(rank);
  return checked_product(up, down, find(Role::mid), rows(), row_size(), scale(rank));
}

DifferencePointer Factors::loha_part(Role a, Role b, Role core, float scale) const {
  const auto* middle = find(core);
  const auto& left = module_[a];
  if (middle == nullptr) return checked_product(left, module_[b], nullptr, rows(), row_size(), scale);
  if (left.rank() != 2) refuse_("a factor of shape " + to_string(left.shape()) + ", expected [rank, rows]");
  return checked_product(transposed(left), module_[b], middle, rows(), row_size(), scale);
}

DifferencePointer Factors::loha() const {
  require(Role::hada_w1_a, "hada_w1_a");
  require(Role::hada_w1_b, "hada_w1_b");
  require(Role::hada_w2_a, "hada_w2_a");
  require(Role::hada_w2_b, "hada_w2_b");
  const Index rank = first_extent(module_[Role::hada_w1_b]);
  check_rank(rank);
  return hadamard(loha_part(Role::hada_w1_a, Role::hada_w1_b, Role::hada_t1, scale(rank)),
                  loha_part(Role::hada_w2_a, Role::hada_w2_b, Role::hada_t2, 1.0f));
}

DifferencePointer Factors::lokr_right(float scale) const {
  // Of the weight's rows and columns, what the left factor leaves.
  const auto* own = find(Role::lokr_w1);
  if (own == nullptr) require(Role::lokr_w1_a, "lokr_w1_a"), require(Role::lokr_w1_b, "lokr_w1_b");
  const Index left_rows = first_extent(own == nullptr ? module_[Role::lokr_w1_a] : *own),
              left_columns = later_extents(own == nullptr ? module_[Role::lokr_w1_b] : *own);
  if (left_rows < 1 || left_columns < 1 || rows() % left_rows != 0 || row_size() % left_columns != 0)
    refuse_("a left factor of " + std::to_string(left_rows) + " rows of " + std::to_string(left_columns) +
            ", which does not divide " + std::to_string(rows()) + " of " + std::to_string(row_size()));
  const Index right_rows = rows() / left_rows, right_columns = row_size() / left_columns;
  if (const auto* right = find(Role::lokr_w2)) {
    if (first_extent(*right) != right_rows || later_extents(*right) != right_columns)
      refuse_("a right factor of shape " + to_string(right->shape()) + ", expected " +
              std::to_string(right_rows) + " rows of " + std::to_string(right_columns));
    return whole(right->reshape({right_rows, right_columns}), scale);
  }
  require(Role::lokr_w2_a, "lokr_w2_a");
  require(Role::lokr_w2_b, "lokr_w2_b");
  const auto& up = module_[Role::lokr_w2_a];
  const auto* core = find(Role::lokr_t2);
  if (core != nullptr && up.rank() != 2)
    refuse_("a factor of shape " + to_string(up.shape()) + ", expected [rank, rows]");
  return checked_product(core == nullptr ? up : transposed(up), module_[Role::lokr_w2_b], core, right_rows,
                         right_columns, scale);
}

DifferencePointer Factors::lokr() const {
  // Of two ranks the right factor's counts; whole factors have none, and then alpha means nothing.
  const auto* ranked = find(Role::lokr_w2_b);
  if (ranked == nullptr) ranked = find(Role::lokr_w1_b);
  const auto* scalar = find(Role::scalar);
  if (ranked != nullptr) check_rank(first_extent(*ranked));
  const float factor = ranked != nullptr   ? scale(first_extent(*ranked))
                       : scalar == nullptr ? 1.0f
                                           : scalar->data()[0];
  auto right = lokr_right(factor);
  if (const auto* left = find(Role::lokr_w1))
    return kronecker(left->reshape({first_extent(*left), later_extents(*left)}), std::move(right));
  const auto& up = module_[Role::lokr_w1_a];
  const auto& down = module_[Role::lokr_w1_b];
  const auto left = checked_product(up, down, nullptr, first_extent(up), later_extents(down), 1.0f);
  return kronecker(materialised(*left), std::move(right));
}

DifferencePointer Factors::diff() const {
  const auto& values = module_[Role::diff];
  if (first_extent(values) != rows() || later_extents(values) != row_size())
    refuse_("a difference of shape " + to_string(values.shape()) + ", expected " + to_string(shape_));
  return whole(values.reshape({rows(), row_size()}), 1.0f);
}

DifferencePointer Factors::difference() const {
  const auto any = [&](std::initializer_list<Role> roles) {
    return std::any_of(roles.begin(), roles.end(), [&](Role role) { return module_.has(role); });
  };
  const bool is_lora = any({Role::up, Role::down, Role::mid}),
             is_loha = any({Role::hada_w1_a, Role::hada_w1_b, Role::hada_w2_a, Role::hada_w2_b}),
             is_lokr = any({Role::lokr_w1, Role::lokr_w1_a, Role::lokr_w1_b, Role::lokr_w2, Role::lokr_w2_a,
                            Role::lokr_w2_b}),
             is_diff = any({Role::diff});
  if (int(is_lora) + int(is_loha) + int(is_lokr) + int(is_diff) > 1)
    refuse_("it has factors of more than one kind");
  return is_lora ? lora() : is_loha ? loha() : is_lokr ? lokr() : is_diff ? diff() : nullptr;
}

}  // namespace daguerre::weights::adapters
