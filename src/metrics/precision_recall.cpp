#include "daguerre/metrics/precision_recall.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>

#include "daguerre/core/eigen.hpp"
#include "metrics/checks.hpp"
#include "metrics/one_thread.hpp"

namespace daguerre::metrics {
namespace {

constexpr const char* precision_recall_name = "precision_recall";

using Distances = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Samples, and |x|^2 of each.
template <class T>
struct Samples {
  const Tensor<T>& rows;
  std::vector<double> norms;

  explicit Samples(const Tensor<T>& samples)
      : rows(samples), norms(static_cast<std::size_t>(samples.dim(0))) {
    for (Index i = 0; i < samples.dim(0); ++i)
      norms[static_cast<std::size_t>(i)] = matrix(samples).row(i).template cast<double>().squaredNorm();
  }
  Index count() const { return rows.dim(0); }
  double norm(Index i) const { return norms[static_cast<std::size_t>(i)]; }
};

constexpr Index rows_at_once = 128, columns_at_once = 512;

/// Calls visit(i, j, squared distance) for the rows i of [begin, end) of x and all rows j of y.
template <class T, class Visit>
void visit_distances(const Samples<T>& x, Index begin, Index end, const Samples<T>& y, const Visit& visit) {
  // What |x|^2 + |y|^2 - 2 x.y leaves of nearly equal samples is rounding: these are computed one by one.
  constexpr double too_near = 1e-8;
  const Distances from = matrix(x.rows).middleRows(begin, end - begin).template cast<double>();
  for (Index first = 0; first < y.count(); first += columns_at_once) {
    const Index width = std::min(columns_at_once, y.count() - first);
    const Distances to = matrix(y.rows).middleRows(first, width).template cast<double>();
    const Distances products = from * to.transpose();
    for (Index i = 0; i < products.rows(); ++i)
      for (Index j = 0; j < width; ++j) {
        const double sum = x.norm(begin + i) + y.norm(first + j);
        double distance = sum - 2.0 * products(i, j);
        if (distance < too_near * sum) distance = (from.row(i) - to.row(j)).squaredNorm();
        visit(begin + i, first + j, distance);
      }
  }
}

template <class Body>
void for_row_blocks(const Threads& threads, Index count, const Body& body) {
  const Index blocks = (count + rows_at_once - 1) / rows_at_once;
  parallel_for(threads, blocks, 1, [&](Index first, Index last) {
    const OneThread alone;
    for (Index block = first; block < last; ++block)
      body(block * rows_at_once, std::min((block + 1) * rows_at_once, count));
  });
}

/// Squared distances to the k-th nearest other sample, `[K, N]`.
template <class T>
Tensor<double> squared_radii(const Samples<T>& samples, std::span<const Index> neighbours,
                             const Threads& threads) {
  const auto most = static_cast<std::size_t>(*std::max_element(neighbours.begin(), neighbours.end()));
  const Index count = samples.count();
  Tensor<double> result({static_cast<Index>(neighbours.size()), count});
  double* const radii = result.data();
  for_row_blocks(threads, count, [&](Index begin, Index end) {
    // The nearest so far of each row, in order.
    std::vector<double> nearest(static_cast<std::size_t>(end - begin) * most,
                                std::numeric_limits<double>::infinity());
    visit_distances(samples, begin, end, samples, [&](Index i, Index j, double distance) {
      double* const own = nearest.data() + static_cast<std::size_t>(i - begin) * most;
      if (i == j || distance >= own[most - 1]) return;
      std::size_t place = most - 1;
      for (; place > 0 && own[place - 1] > distance; --place) own[place] = own[place - 1];
      own[place] = distance;
    });
    for (std::size_t k = 0; k < neighbours.size(); ++k)
      for (Index i = begin; i < end; ++i)
        radii[static_cast<Index>(k) * count + i] =
            nearest[static_cast<std::size_t>(i - begin) * most + static_cast<std::size_t>(neighbours[k] - 1)];
  });
  return result;
}

template <class T>
void check_samples(const Tensor<T>& samples, std::span<const Index> neighbours) {
  require_rows(precision_recall_name, "samples", samples, 2);
  if (neighbours.empty()) throw ArgumentError(precision_recall_name, "no number of neighbours");
  for (const Index k : neighbours)
    if (k < 1 || k >= samples.dim(0))
      throw ArgumentError(precision_recall_name, std::to_string(k) + " neighbours of each of " +
                                                     std::to_string(samples.dim(0)) +
                                                     " samples, expected at least 1, and more samples");
}

/// Whether each sample lies among the others, for each k; set by whichever thread finds it.
class Inside {
 public:
  Inside(std::size_t ks, Index count) : count_(count), flags_(ks * static_cast<std::size_t>(count)) {}
  void set(std::size_t k, Index i) { flag(k, i).store(true, std::memory_order_relaxed); }
  double part(std::size_t k) {
    Index inside = 0;
    for (Index i = 0; i < count_; ++i) inside += flag(k, i).load(std::memory_order_relaxed) ? 1 : 0;
    return static_cast<double>(inside) / static_cast<double>(count_);
  }

 private:
  std::atomic<bool>& flag(std::size_t k, Index i) {
    return flags_[k * static_cast<std::size_t>(count_) + static_cast<std::size_t>(i)];
  }
  Index count_;
  std::vector<std::atomic<bool>> flags_;
};

}  // namespace

double PrecisionRecall::f_score() const noexcept {
  return 2.0 * precision * recall / std::max(precision + recall, 1e-5);
}

template <class T>
std::vector<PrecisionRecall> precision_recall(const Tensor<T>& generated, const Tensor<T>& real,
                                              std::span<const Index> neighbours, const Threads& threads) {
  check_samples(generated, neighbours);
  check_samples(real, neighbours);
  require_one_width(precision_recall_name, generated, real);
  const Samples<T> made(generated), given(real);
  const auto made_radii = squared_radii(made, neighbours, threads);
  const auto given_radii = squared_radii(given, neighbours, threads);
  Inside made_inside(neighbours.size(), made.count()), given_inside(neighbours.size(), given.count());
  const double* const made_radius = std::as_const(made_radii).data();
  const double* const given_radius = std::as_const(given_radii).data();
  for_row_blocks(threads, made.count(), [&](Index begin, Index end) {
    visit_distances(made, begin, end, given, [&](Index i, Index j, double distance) {
      for (std::size_t k = 0; k < neighbours.size(); ++k) {
        if (distance <= given_radius[static_cast<Index>(k) * given.count() + j]) made_inside.set(k, i);
        if (distance <= made_radius[static_cast<Index>(k) * made.count() + i]) given_inside.set(k, j);
      }
    });
  });
  std::vector<PrecisionRecall> result;
  for (std::size_t k = 0; k < neighbours.size(); ++k)
    result.push_back({neighbours[k], made_inside.part(k), given_inside.part(k)});
  return result;
}

template <class T>
PrecisionRecall precision_recall(const Tensor<T>& generated, const Tensor<T>& real, Index neighbours,
                                 const Threads& threads) {
  const std::array only{neighbours};
  return precision_recall(generated, real, std::span<const Index>(only), threads).front();
}

template <class T>
Tensor<double> neighbour_distances(const Tensor<T>& samples, std::span<const Index> neighbours,
                                   const Threads& threads) {
  check_samples(samples, neighbours);
  auto result = squared_radii(Samples<T>(samples), neighbours, threads);
  for (double& value : result.span()) value = std::sqrt(value);
  return result;
}

template std::vector<PrecisionRecall> precision_recall(const Tensor<float>&, const Tensor<float>&,
                                                       std::span<const Index>, const Threads&);
template std::vector<PrecisionRecall> precision_recall(const Tensor<double>&, const Tensor<double>&,
                                                       std::span<const Index>, const Threads&);
template PrecisionRecall precision_recall(const Tensor<float>&, const Tensor<float>&, Index, const Threads&);
template PrecisionRecall precision_recall(const Tensor<double>&, const Tensor<double>&, Index,
                                          const Threads&);
template Tensor<double> neighbour_distances(const Tensor<float>&, std::span<const Index>, const Threads&);
template Tensor<double> neighbour_distances(const Tensor<double>&, std::span<const Index>, const Threads&);

}  // namespace daguerre::metrics
