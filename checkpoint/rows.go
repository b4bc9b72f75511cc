package checkpoint

import "slices"

// WithRows returns a dense copy of a matrix, or of a vector, with that many rows. It drops rows at the
// end, or appends rows that are the mean of all of t's, as transformers'
// resize_token_embeddings does but for the noise that it adds, a normal distribution
// with 1e-9 of the rows' covariance.
func (t Tensor) WithRows(rows int) Tensor {
	t = t.As(t.Name, t.Plain())
	have, cols := t.Shape[0], product(t.Shape[1:])
	data := slices.Clone(t.Data()[:min(rows, have)*cols*t.DType.Size()])
	if rows > have {
		mean := t.DType.AppendFloats(nil, t.meanRow())
		for range rows - have {
			data = append(data, mean...)
		}
	}
	return NewDense(t.Name, t.DType, append([]int{rows}, t.Shape[1:]...), data)
}

// meanRow returns the mean of the rows of a matrix.
func (t Tensor) meanRow() []float32 {
	rows, cols := t.Shape[0], product(t.Shape[1:])
	sum, row := make([]float64, cols), make([]float32, cols)
	for i := range rows {
		t.Floats(row, i*cols)
		for j, x := range row {
			sum[j] += float64(x)
		}
	}
	for j := range row {
		row[j] = float32(sum[j] / float64(rows))
	}
	return row
}

// As returns t under another name and with elements of dtype.
func (t Tensor) As(name string, dtype DType) Tensor {
	if t.DType == dtype && t.IsDense() {
		return Tensor{Name: name, Shape: t.Shape, DType: dtype, Encoding: t.Encoding}
	}
	values := make([]float32, t.Elements())
	t.Floats(values, 0)
	return NewDense(name, dtype, t.Shape, dtype.AppendFloats(nil, values))
}
